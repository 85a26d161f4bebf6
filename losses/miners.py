"""Miners select the pairs or triplets of a batch that a metric loss compares, in each process from its own share."""

from pytorch_metric_learning.miners import BatchHardMiner, MultiSimilarityMiner, PairMarginMiner, TripletMarginMiner
from torch import nn

from losses.checks import check_range


def multi_similarity_miner(*, epsilon: float = 0.1) -> nn.Module:
    """Multi-similarity mining (https://arxiv.org/abs/1904.06627).

    With c the cosine, a negative is kept if c + epsilon exceeds that of the hardest positive of its image, a positive
    if c - epsilon is below that of the hardest negative.

    Args:
        epsilon: margin in cosine, at most 2.
    """
    check_range("epsilon", epsilon, 0, 2, "miner_options")
    return MultiSimilarityMiner(epsilon=epsilon)


def semihard(*, margin: float = 0.1) -> nn.Module:
    """Semi-hard triplets (https://arxiv.org/abs/1503.03832, section 3.2).

    Triplets whose negative is farther than the positive, but by less than the margin.

    Args:
        margin: margin in the distance of unit descriptors (the paper's is in squared distance), at most 2.
    """
    check_range("margin", margin, 0, 2, "miner_options")
    return TripletMarginMiner(margin=margin, type_of_triplets="semihard")


def batch_hard() -> nn.Module:
    """The hardest positive and the hardest negative of every image (https://arxiv.org/abs/1703.07737, eq. 5)."""
    return BatchHardMiner()


def pair_margin(*, pos_margin: float = 0.2, neg_margin: float = 0.8) -> nn.Module:
    """Pairs that are not separated yet: positives farther than pos_margin, negatives nearer than neg_margin.

    Args:
        pos_margin: distance of unit descriptors above which positives are selected, at most 2.
        neg_margin: distance of unit descriptors below which negatives are selected, at most 2.
    """
    check_range("pos_margin", pos_margin, 0, 2, "miner_options")
    check_range("neg_margin", neg_margin, 0, 2, "miner_options")
    return PairMarginMiner(pos_margin=pos_margin, neg_margin=neg_margin)
