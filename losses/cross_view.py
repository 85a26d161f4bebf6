"""Losses of pairs of a street photo and an aerial image, on the cosine similarities of a batch."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from commons.sphere import haversine_km
from losses.checks import check_above_zero, check_range

MAX_SCALE = 100.0  # of a learnable temperature, as in CLIP


def infonce(
    *,
    temperature: float = 1 / 36,
    learnable: bool = False,
    smoothing: float = 0.1,
    decoupled: bool = True,
) -> nn.Module:
    """Symmetric InfoNCE loss of street photos and aerial images, with the settings of https://arxiv.org/abs/2409.16763.

    With s_ij = cosine(street i, aerial j) / temperature, and N_i the other aerial images that are no match of photo i:

        loss_i = -(1 - smoothing) (s_ii - D_ii) - smoothing / |N_i| sum over j in N_i of (s_ij - D_ij)
        D_ij = log sum over k in N_i and i of e^(s_ik)

    It is averaged over all i with a negative, and over both directions. Decoupled (https://arxiv.org/abs/2110.06848),
    D_ij leaves out k = j: the similarity of a pair does not weaken its own gradient. PyTorch's label smoothing would
    also give the pair itself a share of `smoothing`.

    Sample4Geo: temperature=0.0700, learnable=true, decoupled=false.

    Args:
        temperature: temperature of the softmax, above 0; at first, if it is learnable.
        learnable: whether the temperature is trained; it stays above 0.01.
        smoothing: share of the labels that goes to the negatives, at most 1.
        decoupled: whether to leave each entry out of its own denominator.
    """
    check_above_zero("temperature", temperature)
    check_range("smoothing", smoothing, 0, 1)
    return InfoNCE(temperature, learnable, smoothing, decoupled)


def soft_margin(*, alpha: float = 20.0) -> nn.Module:
    """Soft-margin triplet loss (https://arxiv.org/abs/2204.00097) of all triplets of a batch.

    With c_ij = cosine(street i, aerial j), averaged over all pairs (i, j) that are no match, and over both directions:

        loss = log(1 + e^(alpha (c_ij - c_ii)))

    Papers that write it for squared distances 2 - 2c have half this alpha.

    Args:
        alpha: scale, above 0.
    """
    check_above_zero("alpha", alpha)
    return SoftMargin(alpha)


class InfoNCE(nn.Module):
    """See `infonce`."""

    def __init__(self, temperature: float, learnable: bool, smoothing: float, decoupled: bool) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learnable)
        self.smoothing, self.decoupled, self.learnable = smoothing, decoupled, learnable

    @property
    def scale(self) -> torch.Tensor:
        """One over the temperature."""
        return self.log_scale.exp().clamp(max=MAX_SCALE) if self.learnable else self.log_scale.exp()

    def forward(self, street: torch.Tensor, aerial: torch.Tensor, apart: torch.Tensor | None = None) -> torch.Tensor:
        """Returns the scalar loss.

        Args:
            street, aerial: descriptors of unit length, (b, d); rows belong together.
            apart: which pairs are negatives, bool (b, b); the diagonal does not matter. All others by default.
        """
        logits = self.scale * _cosines(street, aerial)
        pair = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        apart = ~pair if apart is None else apart & ~pair
        return (self._one_way(logits, apart, pair) + self._one_way(logits.T, apart.T, pair)) / 2

    def _one_way(self, logits: torch.Tensor, apart: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        kept, counts = apart | pair, apart.sum(dim=1)
        logits = logits.masked_fill(~kept, -torch.inf)
        below = _others(logits) if self.decoupled else logits.logsumexp(dim=1, keepdim=True)
        # Rows without a negative have no denominator; they do not count.
        scores = torch.where(kept & (counts > 0)[:, None], logits - below, 0)
        negatives = (scores * apart).sum(dim=1) / counts.clamp_min(1)
        losses = -(1 - self.smoothing) * scores.diagonal() - self.smoothing * negatives
        return losses.sum() / (counts > 0).sum().clamp_min(1)


def _cosines(street: torch.Tensor, aerial: torch.Tensor) -> torch.Tensor:
    """Returns the cosine of all pairs in full precision, also under autocast, (b, b)."""
    with torch.autocast(street.device.type, enabled=False):
        dtype = torch.promote_types(street.dtype, torch.float32)
        return street.to(dtype) @ aerial.to(dtype).T


def _others(logits: torch.Tensor) -> torch.Tensor:
    """Returns log sum over k != j of e^(logits_ik) for each entry ij, without cancellation.

    Where entry ij is the largest of its row, the sum runs over the row without it. Elsewhere its share of the whole sum
    is at most one half: log(sum - e^s) = log sum + log(1 - e^(s - log sum)).
    """
    largest = F.one_hot(logits.argmax(dim=1), logits.shape[1]).bool()
    rest = logits.masked_fill(largest, -torch.inf)
    alone = rest.isneginf().all(dim=1, keepdim=True)
    without_largest = rest.masked_fill(alone, 0).logsumexp(dim=1, keepdim=True)
    whole = logits.logsumexp(dim=1, keepdim=True)
    share = (logits - whole).masked_fill(largest, -1.0)
    found = torch.where(largest, without_largest, whole + torch.log1p(-share.exp()))
    return found.masked_fill(alone, 0)


class SoftMargin(nn.Module):
    """See `soft_margin`."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, street: torch.Tensor, aerial: torch.Tensor, apart: torch.Tensor | None = None) -> torch.Tensor:
        """Returns the scalar loss; arguments as for `InfoNCE.forward`."""
        cosine = _cosines(street, aerial)
        pair = torch.eye(len(cosine), dtype=torch.bool, device=cosine.device)
        apart = ~pair if apart is None else apart & ~pair
        own = cosine.diagonal()
        both = F.softplus(self.alpha * (cosine - own[:, None])) + F.softplus(self.alpha * (cosine - own[None]))
        return (both * apart).sum() / (2 * apart.sum().clamp_min(1))


def pairs_apart(
    latitude: np.ndarray,
    longitude: np.ndarray,
    aerial_latitude: np.ndarray,
    aerial_longitude: np.ndarray,
    metres: float,
) -> torch.Tensor:
    """Returns which street photos and aerial images are farther apart than some metres, bool (b, b).

    Args:
        latitude, longitude: of the photos in degrees, (b,).
        aerial_latitude, aerial_longitude: of the middles of the aerial images, (b,).
        metres: side of a cell: nearer images show the same place.
    """
    km = haversine_km(latitude[:, None], longitude[:, None], aerial_latitude[None], aerial_longitude[None])
    return torch.from_numpy(1000 * km > metres)
