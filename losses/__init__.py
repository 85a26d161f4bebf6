"""Losses and miners.

Adding one is a file here, or a function in a file of its family, and a line in CLASSIFICATION, METRIC or MINERS.
Keyword-only parameters of a builder are its options on the command line, its docstring is what --help_loss and
--help_miner print.

- A classification loss is a builder that takes (num_classes, descriptor_dim) and returns loss(descriptors, labels), a
  module whose parameters are a classifier's weights.
- A metric loss is a builder that takes nothing else and returns loss(descriptors, labels, mined=None).
- A miner is a builder of mine(descriptors, labels), which says which pairs or triplets of a batch a metric loss sees.

pytorch-metric-learning is imported in the builders, not with this module: it takes a second, and the evaluation, which
shares the parser, needs none of it.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from commons.errors import UsageError
from commons.options import Options, check_name, read_options
from losses.arcface import arcface, subcenter_arcface
from losses.cosface import cosface
from losses.fastap import fastap
from losses.miners import batch_hard, multi_similarity_miner, pair_margin, semihard
from losses.pairs import circle, contrastive, multi_similarity, ntxent, supcon
from losses.sphereface import sphereface
from losses.triplets import centroid_triplet, triplet

CLASSIFICATION: dict[str, Callable[..., nn.Module]] = {
    "cosface": cosface,
    "arcface": arcface,
    "subcenter_arcface": subcenter_arcface,
    "sphereface": sphereface,
}
METRIC: dict[str, Callable[..., nn.Module]] = {
    "multi_similarity": multi_similarity,
    "triplet": triplet,
    "centroid_triplet": centroid_triplet,
    "contrastive": contrastive,
    "ntxent": ntxent,
    "supcon": supcon,
    "circle": circle,
    "fastap": fastap,
}
LOSSES = CLASSIFICATION | METRIC
MINERS: dict[str, Callable[..., nn.Module]] = {
    "multi_similarity": multi_similarity_miner,
    "semihard": semihard,
    "batch_hard": batch_hard,
    "pair_margin": pair_margin,
}
WITHOUT_MINER = {"centroid_triplet": "compares with all centroids", "fastap": "ranks the whole batch"}
OWN_MINERS = {"multi_similarity": "multi_similarity", "triplet": "semihard"}


class MinedLoss(nn.Module):
    """A metric loss of the pairs or triplets that a miner finds in a batch, or of all of them without a miner."""

    def __init__(self, loss: nn.Module, miner: nn.Module | None) -> None:
        super().__init__()
        self.loss, self.miner = loss, miner

    def forward(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of descriptors (b, d) that show the places `labels` (b,)."""
        return self.loss(descriptors, labels, self.miner(descriptors, labels) if self.miner else None)


def make_loss(name: str, options: Options, miner: str, miner_options: Options) -> Callable[..., nn.Module] | None:
    """Builds a metric loss with its miner, or says how each classifier's loss is built.

    Args:
        name: in LOSSES, or "none" for a method without.
        options: of the loss that differ from its defaults.
        miner: in MINERS, or "none"; classification losses have none.
        miner_options: of the miner that differ from its defaults.

    Returns:
        A module loss(descriptors, labels) for a metric loss; for a classification loss a builder of such modules that
        takes (num_classes, descriptor_dim).
    """
    if name == "none":
        return None
    if name in CLASSIFICATION:
        return partial(CLASSIFICATION[name], **options)
    return MinedLoss(METRIC[name](**options), None if miner == "none" else MINERS[miner](**miner_options))


def read_loss(
    name: str, options: dict[str, str], miner: str, miner_options: dict[str, str]
) -> tuple[Options, str, Options]:
    """Checks a choice of loss and miner as it stands on the command line, and fills in the defaults.

    Args:
        name: of the loss.
        options: of the loss, as text.
        miner: name, "none", or "auto" for the loss's own.
        miner_options: of the miner, as text.

    Returns:
        All options of the loss, the miner, and all of its options.

    Raises:
        UsageError: if a name is unknown, an option out of range, or a loss and a miner do not go together.
    """
    check_name("loss", name, LOSSES)
    found = read_options("loss", name, LOSSES[name], options)
    if miner == "auto":
        miner = OWN_MINERS.get(name, "none")
    if miner != "none":
        check_name("miner", miner, MINERS | {"none": None, "auto": None})
        if name in CLASSIFICATION or name in WITHOUT_MINER:
            why = WITHOUT_MINER.get(name, "compares with classes, not with images")
            raise UsageError(
                f"--miner {miner} and --loss {name} are in conflict: {name} {why}; use --miner none, or a loss of "
                "pairs such as --loss multi_similarity"
            )
    elif miner_options:
        raise UsageError("--miner_options needs a miner: choose one with --miner")
    mined = read_options("miner", miner, MINERS[miner], miner_options) if miner != "none" else {}
    loss = make_loss(name, found, miner, mined)
    if name in CLASSIFICATION:
        loss(num_classes=2, descriptor_dim=2)
    return found, miner, mined
