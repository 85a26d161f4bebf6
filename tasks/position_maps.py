"""Maps of where photos were taken, for localize.py."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from datasets.places import Places
from reports.geolocation.cells import ReportCells
from reports.geolocation.map import MOST_CELLS, write_map
from reports.positions import Found
from tasks.locating import Locator, Positions

LEAST_SHARE = 1e-4  # of the probability, of cells that a map colours
MOST_COLOURED = 40_000  # cells of all photos together


def save_map(path: Path, photos: Places, answers: Positions, locator: Locator, found: Sequence[Found]) -> None:
    """Writes a map of the first answers; a click on a photo shows the cells that the network thinks of.

    Args:
        path: the HTML file.
        photos: photos with their true positions, where these are known.
        answers: for those of them that could be decoded.
        locator: locator that gave the answers.
        found: the answers of `answers`, named.
    """
    first = [own for own in found if own.rank == 1]
    latitude, longitude = (column[answers.rows] for column in photos.degrees)
    true, best = locator.cells_at(latitude, longitude), answers.cells[:, :1]
    top, share = _coloured(answers)
    drawn = locator.drawn_cells(np.concatenate([true, best.ravel(), *top]), MOST_CELLS)
    row = {cell: number for number, cell in enumerate(drawn.tolist())}
    table = pa.table(
        {
            "path": [own.photo for own in first],
            "latitude": latitude, "longitude": longitude, "error_km": [own.error_km for own in first],
            "predicted_latitude": [own.latitude for own in first],
            "predicted_longitude": [own.longitude for own in first],
            "probability": [own.probability for own in first],
            "cell": [row.get(cell, -1) for cell in true.tolist()], "predicted_cell": np.full(len(first), -1),
            "top_cells": [[row[cell] for cell in own.tolist()] for own in top],
            "top_probabilities": [own.tolist() for own in share],
            "city": [own.place for own in first],
        }
    )  # fmt: skip
    title = "Where the photos were taken"
    write_map(path, table, _report_cells(locator, drawn), title, Path(), locator.background(), locator.total_cells)


def _coloured(answers: Positions) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns the cells of each photo that a map colours, best first, and their probabilities."""
    order = np.argsort(-answers.cell_probabilities, axis=1, kind="stable")
    most = max(MOST_COLOURED // max(len(order), 1), 5)
    cells, shares = (
        np.take_along_axis(own, order, axis=1)[:, :most] for own in (answers.cells, answers.cell_probabilities)
    )
    counts = np.maximum((shares >= LEAST_SHARE).sum(axis=1), min(5, shares.shape[1]))
    return tuple([row[:count] for row, count in zip(own, counts, strict=True)] for own in (cells, shares))


def _report_cells(locator: Locator, cells: np.ndarray) -> ReportCells:
    outlines = np.array(locator.outlines(cells), dtype=object)
    points = np.array([(shape.centroid.y, shape.centroid.x) for shape in outlines]).reshape(-1, 2).T
    names = np.array([f"cell {cell}" for cell in cells], dtype=object)
    return ReportCells(names, outlines, *points, None, np.zeros(len(cells)))
