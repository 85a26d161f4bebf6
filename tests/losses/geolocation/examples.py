"""Four cells on the equator, at 0, 1, 2 and 4 degrees east, in two coarser cells."""

import math

import torch

from losses.geolocation.geometry import CellGeometry, CellOutputs, CellTruth

DEGREE_KM = math.pi * 6371.0088 / 180
LINE = CellGeometry([0.0] * 4, [0.0, 1, 2, 4], [[50.0, 20.0]] * 4, [[0, 0], [0, 1], [1, 2], [1, 3]])


def outputs(probabilities: list[list[float]]) -> CellOutputs:
    """What a network predicts that gives these probabilities, with an arbitrary constant added to its logits."""
    logits = torch.log(torch.tensor(probabilities)) + 3
    return CellOutputs(logits, (torch.zeros(len(logits), 2),), torch.zeros(len(logits), 4, 2))


def truth(longitude: list[float], cells: list[list[int]]) -> CellTruth:
    """Photos on the equator."""
    east = torch.tensor(longitude, dtype=torch.float64)
    return CellTruth(torch.where(east.isnan(), east, 0), east, torch.tensor(cells))
