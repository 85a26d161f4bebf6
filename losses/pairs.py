"""Metric losses of pairs, all on the cosine similarity c or the distance d of unit descriptors."""

from pytorch_metric_learning.losses import CircleLoss, ContrastiveLoss, MultiSimilarityLoss, NTXentLoss, SupConLoss
from torch import nn

from commons.errors import ArgumentError
from losses.checks import check_above_zero, check_range


def multi_similarity(*, alpha: float = 1.0, beta: float = 50.0, base: float = 0.0) -> nn.Module:
    """Multi-similarity loss (https://arxiv.org/abs/1904.06627), with GSV-Cities' settings.

    Averaged over the images of the batch, with P its mined positives, N its mined negatives and c the cosine:

        loss = 1/alpha log(1 + sum over P of e^(-alpha (c - base))) + 1/beta log(1 + sum over N of e^(beta (c - base)))

    Args:
        alpha: scale for positives, above 0.
        beta: scale for negatives, above 0.
        base: similarity that positives should exceed and negatives should not, at most 1.
    """
    check_above_zero("alpha", alpha)
    check_above_zero("beta", beta)
    check_range("base", base, 0, 1)
    return MultiSimilarityLoss(alpha=alpha, beta=beta, base=base)


def contrastive(*, pos_margin: float = 0.0, neg_margin: float = 1.0) -> nn.Module:
    """Contrastive loss (Hadsell et al., CVPR 2006; https://arxiv.org/abs/1604.02426 uses it for images of places).

    With d the distance of a pair of unit descriptors:

        loss = mean over positives of max(0, d - pos_margin) + mean over negatives of max(0, neg_margin - d)

    Both means are over the pairs whose loss is not 0. The papers square both terms.

    Args:
        pos_margin: distance up to which the loss of positives is 0, below neg_margin.
        neg_margin: distance from which the loss of negatives is 0, at most 2.
    """
    check_range("neg_margin", neg_margin, 0, 2)
    if pos_margin >= neg_margin:
        raise ArgumentError("loss_options", f"pos_margin={pos_margin:g} must be below neg_margin={neg_margin:g}")
    return ContrastiveLoss(pos_margin=pos_margin, neg_margin=neg_margin)


def ntxent(*, temperature: float = 0.07) -> nn.Module:
    """NT-Xent or InfoNCE loss (https://arxiv.org/abs/2002.05709, eq. 1).

    Averaged over all ordered pairs (i, p) of one place, with N the images of other places and c the cosine:

        loss = -log( e^(c_ip / temperature) / (e^(c_ip / temperature) + sum over n in N of e^(c_in / temperature)) )

    Args:
        temperature: temperature of the softmax, above 0; the hardest negatives dominate where it is small.
    """
    check_above_zero("temperature", temperature)
    return NTXentLoss(temperature=temperature)


def supcon(*, temperature: float = 0.07) -> nn.Module:
    """Supervised contrastive loss (https://arxiv.org/abs/2004.11362, eq. 2).

    Averaged over the images i, with P the other images of its place, A all others of the batch and c the cosine:

        loss = -mean over p in P of log( e^(c_ip / temperature) / sum over a in A of e^(c_ia / temperature) )

    Args:
        temperature: temperature of the softmax, above 0; the hardest negatives dominate where it is small.
    """
    check_above_zero("temperature", temperature)
    return SupConLoss(temperature=temperature)


def circle(*, m: float = 0.4, gamma: float = 80.0) -> nn.Module:
    """Circle loss (https://arxiv.org/abs/2002.10857), with the paper's settings for retrieval.

    Averaged over the images whose loss is not 0, with P the other images of its place, N those of other places and
    c the cosine:

        loss = log(1 + sum over N of e^(gamma a_n (c_n - m)) sum over P of e^(-gamma a_p (c_p - 1 + m)))
        a_n = max(0, c_n + m),     a_p = max(0, 1 + m - c_p),     both without gradient

    Args:
        m: margin in cosine, at most 1.
        gamma: scale, above 0.
    """
    check_range("m", m, 0, 1)
    check_above_zero("gamma", gamma)
    return CircleLoss(m=m, gamma=gamma)
