"""Several losses over cells, each with a weight."""

from collections.abc import Mapping

import torch
from torch import nn

from commons.errors import ArgumentError
from commons.options import Options, help_text, read_own_options
from losses.geolocation import CELL_LOSSES
from losses.geolocation.geometry import CellGeometry, CellOutputs, CellTruth


class WeightedSum(nn.Module):
    """The weighted sum of losses over cells."""

    def __init__(self, losses: Mapping[str, nn.Module], weights: Mapping[str, float]) -> None:
        super().__init__()
        self.members, self.weights = nn.ModuleDict(losses), dict(weights)

    def forward(self, outputs: CellOutputs, truth: CellTruth) -> torch.Tensor:
        """Returns the scalar loss."""
        return sum(self.weights[name] * value for name, value in self.parts(outputs, truth).items())

    def parts(self, outputs: CellOutputs, truth: CellTruth) -> dict[str, torch.Tensor]:
        """Returns each loss by name, without its weight."""
        return {name: loss(outputs, truth) for name, loss in self.members.items()}


def read_cell_losses(given: list[str], options: Mapping[str, str]) -> tuple[dict[str, float], dict[str, Options]]:
    """Checks losses, their weights and their options, given as text.

    Args:
        given: names in CELL_LOSSES, each with its weight, such as "haversine=0.5", or without one for 1.
        options: as text, by "name.option".

    Returns:
        The weights, and all options of each loss.

    Raises:
        ArgumentError: if a name or an option is unknown, a name is given twice, or a value is wrong.
    """
    if not given:
        raise ArgumentError("cell_loss", f"contains no loss; choose from {', '.join(CELL_LOSSES)}")
    names = [text.partition("=")[0] for text in given]
    found = read_own_options("cell_loss", names, CELL_LOSSES, options)
    weights = {name: _weight(text) for name, text in zip(names, given, strict=True)}
    one = CellGeometry([0.0], [0.0], [[1.0, 1.0]], [[0]])
    for name, own in found.items():
        CELL_LOSSES[name](one, **own)  # checks ranges
    return weights, found


def make_cell_loss(
    geometry: CellGeometry, weights: Mapping[str, float], options: Mapping[str, Options] | None = None
) -> WeightedSum:
    """Builds the weighted sum of losses over cells.

    Args:
        geometry: geometry of the cells.
        weights: by name in CELL_LOSSES.
        options: options of each loss that differ from its defaults, by name.
    """
    options = options or {}
    return WeightedSum({name: CELL_LOSSES[name](geometry, **options.get(name, {})) for name in weights}, weights)


def cell_loss_help(name: str) -> str:
    """Returns the help of a loss over cells."""
    return help_text("cell_loss", name, CELL_LOSSES)


def _weight(text: str) -> float:
    name, _, weight = text.partition("=")
    try:
        value = float(weight or 1)
    except ValueError:
        value = -1
    if not 0 < value < float("inf"):
        raise ArgumentError("cell_loss", f"{text}: the weight of {name} must be a number above 0")
    return value
