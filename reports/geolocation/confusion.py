"""Which cells are taken for which others: a matrix in an order along the ground, and the pairs confused most."""

from pathlib import Path
from typing import NamedTuple

import geopandas
import numpy as np
import pyarrow as pa
from matplotlib import colormaps
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure

from commons.sphere import haversine_km
from reports.curves import GREY, save_figure
from reports.geolocation.cells import ReportCells, cell_rows
from reports.geolocation.outlines import bounds_of

MOST_ROWS = 400  # of the matrix; of more cells, neighbours are drawn together
MOST_NAMES = 45  # cells whose names fit beside the matrix, and coarser cells whose borders fit into it
HILBERT_LEVEL = 16
CUT = "#e2e5ea"
COLOURS = ListedColormap(colormaps["YlGnBu"](np.linspace(0.35, 1, 256)))


class ConfusedPair(NamedTuple):
    """Photos of one cell that were put into another one.

    Attributes:
        true, predicted: cells.
        photos: how many photos of `true` were put into `predicted`.
        share: share of the photos of `true`, in percent.
        km: between the points of the two cells.
    """

    true: int
    predicted: int
    photos: int
    share: float
    km: float


def neighbourhood_order(cells: ReportCells) -> np.ndarray:
    """Returns the cells in an order in which those that are near on the ground are mostly near, int64 (K,).

    It is the order along a Hilbert curve over the cells' points. With coarser cells, those come one after the other,
    each with all its cells.
    """
    west = bounds_of(cells.latitude, cells.longitude).west
    points = geopandas.GeoSeries.from_xy((cells.longitude - west) % 360, cells.latitude)
    along = points.hilbert_distance(level=HILBERT_LEVEL).to_numpy().astype(np.int64)
    if cells.groups is None:
        return np.argsort(along, kind="stable")
    _, group = np.unique(cells.groups, return_inverse=True)
    first = np.full(group.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, group, along)
    return np.lexsort((along, group, first[group]))


def confused_pairs(predictions: pa.Table, cells: ReportCells, most: int = 20) -> list[ConfusedPair]:
    """Returns the pairs of different cells with the most photos, of equally many the farther ones first."""
    true, predicted = _known(predictions)
    size = len(cells.names)
    totals = np.bincount(true, minlength=size)
    wrong = true != predicted
    keys, counts = np.unique(true[wrong] * size + predicted[wrong], return_counts=True)
    own, other = keys // size, keys % size
    km = haversine_km(cells.latitude[own], cells.longitude[own], cells.latitude[other], cells.longitude[other])
    return [
        ConfusedPair(int(own[i]), int(other[i]), int(counts[i]), 100 * float(counts[i] / totals[own[i]]), float(km[i]))
        for i in np.lexsort((-km, -counts))[:most]
    ]


def confusion_matrix(predictions: pa.Table, cells: ReportCells, order: np.ndarray) -> np.ndarray:
    """Counts photos by true cell (rows) and predicted cell (columns), int64 (K', K').

    Args:
        predictions: photos; those in no cell or without an answer are left out.
        cells: the finest cells.
        order: the cells in the order of the rows. Of more than MOST_ROWS cells, `cells_together` that follow each other
            are one row.
    """
    together = cells_together(len(order))
    rows = -(-len(order) // together)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) // together
    true, predicted = _known(predictions)
    return np.bincount(place[true] * rows + place[predicted], minlength=rows * rows).reshape(rows, rows)


def cells_together(count: int) -> int:
    """Returns how many cells share a row of the matrix of `count` cells."""
    return -(-count // MOST_ROWS)


def draw_confusion(predictions: pa.Table, cells: ReportCells, picture: Path) -> None:
    """Writes a PNG of the confusion matrix in the order of `neighbourhood_order`.

    What lies on the diagonal is right, and what lies beside it is near. Lines part coarser cells.
    """
    order, together = neighbourhood_order(cells), cells_together(len(cells.names))
    matrix = confusion_matrix(predictions, cells, order)
    figure = Figure(figsize=(9, 8), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    shown, norm = np.ma.masked_equal(matrix, 0), LogNorm(1, max(int(matrix.max()), 2))
    image = axes.imshow(shown, cmap=COLOURS, norm=norm, interpolation="nearest", zorder=2)
    ticks = [digit * 10**power for power in range(8) for digit in (1, 2, 5) if digit * 10**power <= norm.vmax]
    figure.colorbar(image, label="photos", shrink=0.5, ticks=ticks, format="%d").minorticks_off()
    if cells.groups is not None and len(np.unique(cells.groups)) <= MOST_NAMES:
        for cut in (np.flatnonzero(np.diff(cells.groups[order])) + 1) / together - 0.5:
            axes.axhline(cut, color=CUT, linewidth=0.6)
            axes.axvline(cut, color=CUT, linewidth=0.6)
    each = f", {together} neighbours together" if together > 1 else ""
    axes.set_xlabel(f"predicted cell, in an order along the ground{each}", color=GREY)
    axes.set_ylabel("true cell, in the same order", color=GREY)
    names = [str(name) for name in cells.names[order]] if len(order) <= MOST_NAMES else []
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.spines[:].set_color("#b4bac4")
    save_figure(figure, picture)


def _known(predictions: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Returns true and predicted cells of the photos that have both."""
    true, predicted = cell_rows(predictions, "cell"), cell_rows(predictions, "predicted_cell")
    known = (true >= 0) & (predicted >= 0)
    return true[known], predicted[known]
