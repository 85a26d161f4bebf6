"""Errors in kilometres as a histogram, and accuracy by the size of cells and by region, as pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from scipy.stats import binomtest

from metrics.geodesic import shares_within
from reports.curves import GREY, save_figure, style
from reports.geolocation.cells import ReportCells, cell_rows, numbers

BAR, LINE, MARK = "#5b93db", "#202328", "#d9541e"
BINS = 48
LEAST_KM = 1e-3  # smaller errors are drawn as this one
SIZE_BINS = 6
MOST_REGIONS = 20
REGIONS = ("region", "country")  # the first one that is known


@dataclass(frozen=True)
class Group:
    """Photos that have something in common.

    Attributes:
        label: label of the group.
        photos: how many there are.
        right: how many have the right cell.
        low, high: the 95 % Wilson interval of the accuracy in percent (https://doi.org/10.1080/01621459.1927.10502953).
        median_km: median of their errors in km, NaN if none is known.
    """

    label: str
    photos: int
    right: int
    low: float
    high: float
    median_km: float


def draw_errors(predictions: pa.Table, radii_km: Sequence[float], picture: Path) -> None:
    """Writes a PNG with a histogram of errors over a logarithmic axis, the share within each distance, and the radii.

    Shares are of all photos whose true position is known, as in `metrics.geodesic`: those without an answer count as
    infinitely far.
    """
    distances = numbers(predictions, "error_km")[np.isfinite(numbers(predictions, "latitude"))]
    answered = np.sort(np.maximum(distances[np.isfinite(distances)], LEAST_KM))
    figure = Figure(figsize=(11.5, 4.4), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    if len(answered):
        low, high = answered[0] / 1.15, max(answered[-1], *radii_km) * 1.25
        axes.hist(answered, np.geomspace(low, high, BINS), color=BAR, edgecolor="white", linewidth=0.5)
        right = axes.twinx()
        right.step([low, *answered, high], [0, *_shares(len(answered), len(distances))], color=LINE, where="post")
        right.set_ylim(0, 105)
        right.set_ylabel("photos within the distance (%)", color=GREY)
        right.spines[:].set_visible(False)
        right.tick_params(colors=GREY, labelsize=9)
        for radius, share in zip(radii_km, shares_within(distances, radii_km).values(), strict=True):
            if radius >= low:
                right.axvline(radius, color=MARK, linewidth=1, linestyle="--")
                label = dict(textcoords="offset points", ha="center", va="bottom", fontsize=8.5, color=MARK)
                right.annotate(f"{radius:g} km\n{share:.1f} %", (radius, 105), (0, 3), **label)
        axes.plot([], color=LINE)
        axes.set(xscale="log", xlim=(low, high), ylabel="photos")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda km, _: f"{km:,g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    missing = len(distances) - len(answered)
    note = f"; {missing} photos without an answer are not drawn" if missing else ""
    style(axes, f"error (km){note}")
    axes.set_ylabel("photos", color=GREY)
    save_figure(figure, picture)


def draw_accuracy(predictions: pa.Table, cells: ReportCells, picture: Path) -> None:
    """Writes a PNG with the accuracy of cells by their training photos, by their area, and by region where known."""
    by_photos, by_area = groups_by_size(predictions, cells.images), groups_by_size(predictions, cells.area_km2)
    regions = groups_by_region(predictions)
    height = max(0.27 * len(regions) + 1.2, 3.4) if regions else 0
    figure = Figure(figsize=(11.5, 3.9 + height), dpi=130, layout="constrained")
    grid = figure.add_gridspec(2 if regions else 1, 2, height_ratios=(3.9, height) if regions else None)
    _draw_sizes(figure.add_subplot(grid[0, 0]), by_photos, "Accuracy by training photos of the true cell", "photos")
    _draw_sizes(figure.add_subplot(grid[0, 1]), by_area, "Accuracy by area of the true cell", "km²")
    if regions:
        accuracy = figure.add_subplot(grid[1, 0])
        _draw_regions(accuracy, regions)
        _draw_medians(figure.add_subplot(grid[1, 1], sharey=accuracy), regions)
    save_figure(figure, picture)


def groups_by_size(predictions: pa.Table, sizes: np.ndarray) -> list[Group]:
    """Returns at most SIZE_BINS groups of about as many photos each, by the size of their true cell, smallest first.

    Args:
        predictions: photos; those in no cell are left out.
        sizes: sizes of the cells, (K,); cells of one size stay together.
    """
    true = cell_rows(predictions, "cell")
    rows = np.flatnonzero(true >= 0)
    if not len(rows):
        return []
    own = np.asarray(sizes, np.float64)[true[rows]]
    inner = np.unique(np.quantile(own, np.arange(1, SIZE_BINS) / SIZE_BINS))
    where = np.searchsorted(inner, own)
    made = []
    for position in np.unique(where):
        members = where == position
        low, high = own[members].min(), own[members].max()
        label = _short(low) if _short(low) == _short(high) else f"{_short(low)} to {_short(high)}"
        made.append(_group(label, predictions, rows[members]))
    return made


def groups_by_region(predictions: pa.Table) -> list[Group]:
    """Returns the MOST_REGIONS regions with the most photos, the most first; countries where no region is known."""
    column = next((name for name in REGIONS if name in predictions.column_names), None)
    if column is None:
        return []
    labels = predictions[column].cast(pa.string()).fill_null("").to_numpy()
    names, where, counts = np.unique(labels.astype(str), return_inverse=True, return_counts=True)
    chosen = [place for place in np.argsort(-counts, kind="stable") if names[place]][:MOST_REGIONS]
    return [_group(str(names[place]), predictions, np.flatnonzero(where == place)) for place in chosen]


def _group(label: str, predictions: pa.Table, rows: np.ndarray) -> Group:
    true, predicted = cell_rows(predictions, "cell")[rows], cell_rows(predictions, "predicted_cell")[rows]
    right = int(((true == predicted) & (true >= 0)).sum())
    interval = binomtest(right, len(rows)).proportion_ci(0.95, method="wilson")
    errors = numbers(predictions, "error_km")[rows]
    known = errors[np.isfinite(errors)]
    median = float(np.median(known)) if len(known) else float("nan")
    return Group(label, len(rows), right, 100 * interval.low, 100 * interval.high, median)


def _accuracies(groups: Sequence[Group]) -> tuple[np.ndarray, np.ndarray]:
    """Returns accuracies in percent, (n,), and how far their intervals reach below and above, (2, n)."""
    share = np.array([100 * own.right / own.photos for own in groups])
    reach = np.array([[own.low for own in groups], [own.high for own in groups]])
    return share, np.abs(reach - share)


def _draw_sizes(axes: Axes, groups: Sequence[Group], title: str, unit: str) -> None:
    at = np.arange(len(groups))
    if groups:
        share, reach = _accuracies(groups)
        axes.bar(at, share, color=BAR, width=0.72)
        axes.errorbar(at, share, reach, fmt="none", color=LINE, capsize=3, linewidth=1.2)
        axes.set_ylim(0, min(105, 1.15 * max(own.high for own in groups)))
        axes.plot([], [])
    style(axes, unit)
    axes.grid(False, axis="x")
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_ylabel("right cell (%)", color=GREY)
    if groups:
        axes.set_xticks(at, [f"{own.label}\nn = {own.photos}" for own in groups], fontsize=8)


def _draw_regions(axes: Axes, groups: Sequence[Group]) -> None:
    at = np.arange(len(groups))
    share, reach = _accuracies(groups)
    axes.barh(at, share, color=BAR, height=0.7)
    axes.errorbar(share, at, xerr=reach, fmt="none", color=LINE, capsize=2, linewidth=1)
    axes.plot([], [])
    style(axes, "right cell (%)")
    axes.grid(False, axis="y")
    axes.set_title("Accuracy by region", loc="left", fontsize=11)
    axes.set_yticks(at, [f"{own.label}  ({own.photos})" for own in groups], fontsize=8)
    axes.set(xlim=(0, None), ylim=(len(groups) - 0.5, -0.5))


def _draw_medians(axes: Axes, groups: Sequence[Group]) -> None:
    axes.barh(np.arange(len(groups)), [own.median_km for own in groups], color=BAR, height=0.7)
    axes.plot([], [])
    style(axes, "median error (km)")
    axes.grid(False, axis="y")
    axes.set_title("Median error by region", loc="left", fontsize=11)
    axes.tick_params(labelleft=False)


def _shares(answered: int, total: int) -> np.ndarray:
    """Returns the shares of all photos within the distance of each answered one, in percent, and the last one again."""
    shares = 100 * np.arange(1, answered + 1) / total
    return np.append(shares, shares[-1])


def _short(value: float) -> str:
    """Returns a size in few characters: 8.71, 354, 66k, 2.1M."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= 9950 and value >= unit * 0.9995:
            return f"{value / unit:.0f}{name}" if value >= 9.95 * unit else f"{value / unit:.1f}{name}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
