"""A picture of cells: a map, photos per cell, and what a perfect classifier would reach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from commons.files import atomic_path

MARGIN = 0.03  # of the photos' extent, around the map
WORLD_GAP = 60  # degrees without photos; with a narrower gap, the map shows the world
NO_PHOTO = "#dddddd"


@dataclass(frozen=True)
class DrawnCells:
    """The cells of one resolution.

    Attributes:
        polygons: outlines in degrees, an object array (K,).
        images: photos of each, (K,).
        latitude, longitude: points that they answer, degrees (K,).
        oracle: share of photos within each radius in percent, by radius in kilometres, if the right cell is chosen.
    """

    polygons: np.ndarray
    images: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    oracle: Mapping[float, float]


def draw_cells(
    levels: Sequence[DrawnCells], latitude: np.ndarray, longitude: np.ndarray, title: str, picture: Path
) -> None:
    """Writes a PNG with a map of the finest cells, and of all resolutions photos per cell and the oracle.

    Args:
        levels: resolutions, coarse to fine.
        latitude, longitude: of the photos in degrees, (n,); they set the extent of the map.
        title: title of the map.
        picture: file to write.
    """
    figure = Figure(figsize=(16, 8), dpi=110, layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(2, 1))
    place, counts, oracle = (figure.add_subplot(grid[part]) for part in (np.s_[:, 0], np.s_[0, 1], np.s_[1, 1]))
    _draw_map(levels[-1], latitude, longitude, place)
    place.set_title(title)
    _draw_counts(levels, counts)
    _draw_oracle(levels, oracle)
    with atomic_path(picture) as temporary:
        figure.savefig(temporary, format="png")


def _draw_map(cells: DrawnCells, latitude: np.ndarray, longitude: np.ndarray, axes: Axes) -> None:
    """Draws outlines coloured by photos; across the antimeridian, longitudes go on beyond 180 degrees."""
    ordered = np.unique(longitude)
    gaps = np.diff(ordered, append=ordered[0] + 360)
    west = ordered[(gaps.argmax() + 1) % len(ordered)]
    width, (south, north) = 360 - gaps.max(), (latitude.min(), latitude.max())
    if gaps.max() < WORLD_GAP:
        west, width = -180.0, 360.0
    frame = geopandas.GeoDataFrame({"images": cells.images}, geometry=list(cells.polygons))
    least, most = max(int(cells.images.min()), 1), max(int(cells.images.max()), 2)
    for turn in (0, 360) if west + width > 180 else (0,):
        moved = frame.set_geometry(frame.translate(turn))
        style = dict(ax=axes, edgecolor="white", linewidth=0.3, aspect=None)
        empty = moved["images"] == 0
        if empty.any():
            moved[empty].plot(color=NO_PHOTO, **style)
        if not empty.all():
            scale = dict(column="images", norm=LogNorm(min(least, most - 1), most), cmap="viridis")
            moved[~empty].plot(legend=turn == 0, legend_kwds={"label": "photos", "shrink": 0.6}, **scale, **style)
    points = (cells.longitude - west) % 360 + west
    axes.scatter(points, cells.latitude, s=2 if len(points) < 2000 else 0.3, color="red", label="class points")
    pad = max(MARGIN * max(width, north - south), 1e-4)
    axes.set(
        xlim=(west - pad, west + width + pad), ylim=(max(south - pad, -90), min(north + pad, 90)),
        xlabel="longitude (degrees)", ylabel="latitude (degrees)",
        aspect=1 / max(np.cos(np.radians((south + north) / 2)), 0.1),
    )  # fmt: skip
    axes.legend(loc="upper left", markerscale=3)


def _draw_counts(levels: Sequence[DrawnCells], axes: Axes) -> None:
    images = np.concatenate([level.images for level in levels])
    bins = np.unique(np.geomspace(max(images.min(), 1), max(images.max(), 2) + 1, 30).round() - 0.5)
    bins = np.append(0.1, bins) if images.min() == 0 else bins
    for level in levels:
        label = f"{len(level.images)} cells, median {np.median(level.images):g}"
        axes.hist(level.images, bins=bins, histtype="step", label=label)
    axes.set(title="photos per cell", xscale="log", xlabel="photos", ylabel="cells")
    axes.legend()


def _draw_oracle(levels: Sequence[DrawnCells], axes: Axes) -> None:
    for level in levels:
        axes.plot(list(level.oracle), list(level.oracle.values()), "o-", label=f"{len(level.images)} cells")
    radii = list(levels[0].oracle)
    axes.set(title="if the right cell is always chosen", xscale="log", ylim=(0, 102), ylabel="photos within (%)")
    axes.set_xticks(radii)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("radius (km)")
    axes.grid(alpha=0.3)
    axes.legend()
