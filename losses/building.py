"""From the name of a loss and of a miner to the module that a method calls."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from commons.errors import ArgumentError
from commons.options import Options, check_name, read_options
from losses import CLASSIFICATION, CROSS_VIEW, LOSSES, METRIC, MINERS, OWN_MINERS, WITHOUT_MINER
from losses.matryoshka import Matryoshka


class MinedLoss(nn.Module):
    """A metric loss of the pairs or triplets that a miner selects in a batch, or of all of them without a miner."""

    def __init__(self, loss: nn.Module, miner: nn.Module | None) -> None:
        super().__init__()
        self.loss, self.miner = loss, miner

    def forward(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of descriptors (b, d) that show the places `labels` (b,)."""
        return self.loss(descriptors, labels, self.miner(descriptors, labels) if self.miner else None)


def make_loss(
    name: str, options: Options, miner: str, miner_options: Options, prefixes: Sequence[int] = ()
) -> Callable[..., nn.Module] | None:
    """Builds a metric loss with its miner, or returns a builder of classification losses.

    Args:
        name: name in LOSSES, or "none" for a method without a loss.
        options: options of the loss that differ from its defaults.
        miner: name in MINERS, or "none"; classification losses have none.
        miner_options: options of the miner that differ from its defaults.
        prefixes: numbers of first dimensions that are descriptors by themselves, as for `Matryoshka`; () for none.

    Returns:
        For a metric loss a module loss(descriptors, labels); for a cross-view loss a module loss(street, aerial,
        apart); for a classification loss a builder of such modules that
        takes (num_classes, descriptor_dim); None for "none".
    """
    if name == "none":
        return None
    if name in CLASSIFICATION:
        build = partial(CLASSIFICATION[name], **options)
        return (lambda *sizes: Matryoshka(build(*sizes), prefixes)) if prefixes else build
    if name in CROSS_VIEW:
        return CROSS_VIEW[name](**options)
    loss = MinedLoss(METRIC[name](**options), None if miner == "none" else MINERS[miner](**miner_options))
    return Matryoshka(loss, prefixes) if prefixes else loss


def read_loss(
    name: str, options: dict[str, str], miner: str, miner_options: dict[str, str]
) -> tuple[Options, str, Options]:
    """Checks a loss, a miner and their options, given as text, and fills in the defaults.

    Args:
        name: name of the loss.
        options: options of the loss, as text.
        miner: name, "none", or "auto" for the loss's default miner.
        miner_options: options of the miner, as text.

    Returns:
        All options of the loss, the miner, and all of its options.

    Raises:
        ArgumentError: if a name is unknown, an option out of range, or a loss and a miner do not go together.
    """
    check_name("loss", name, LOSSES)
    found = read_options("loss", name, LOSSES[name], options)
    if miner == "auto":
        miner = OWN_MINERS.get(name, "none")
    if miner != "none":
        check_name("miner", miner, [*MINERS, "none", "auto"])
        if name in CLASSIFICATION or name in WITHOUT_MINER:
            why = WITHOUT_MINER.get(name, "compares with classes, not with images")
            raise ArgumentError(
                "miner",
                f"{miner} cannot be used with `loss` {name}, which {why}; use none, or a loss of pairs such as `loss` "
                "multi_similarity",
            )
    elif miner_options:
        raise ArgumentError("miner_options", "needs a miner: choose one with `miner`")
    mined = read_options("miner", miner, MINERS[miner], miner_options) if miner != "none" else {}
    loss = make_loss(name, found, miner, mined)
    if name in CLASSIFICATION:
        loss(num_classes=2, descriptor_dim=2)
    return found, miner, mined
