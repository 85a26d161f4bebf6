"""Pictures of cells and losses of the demo country: python -m benchmarks.cell_pictures FOLDER

Draws the country divided by every kind of cells. For one photo, draws targets of the losses (labels of cross entropy
and of haversine smoothing, distances) and by how much a step of gradient descent raises the logit of each cell.
"""

import argparse
import io
from pathlib import Path

import geopandas
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from PIL import Image

from cells.base import Cells, Points
from cells.building import build_partition
from cells.polygons import read_polygons
from commons.sphere import haversine_km
from datasets.geotagged import read_geotagged
from losses.geolocation.building import make_cell_loss
from losses.geolocation.geometry import CellGeometry, CellOutputs, CellTruth
from losses.geolocation.haversine import HaversineSmoothing
from metrics.geodesic import oracle_distances

KINDS = (
    ("s2", {"max_images": 100, "min_images": 10}),
    ("quadtree", {"max_images": 100}),
    ("quadtree_median", {"max_images": 100}),
    ("kmeans", {"cells": 48}),
    ("grid", {"size_km": 35.0}),
    ("admin", {}),
    ("admin", {"cells": 60}),
)
LOSSES = (
    ("cross_entropy", {}),
    ("haversine", {"tau": 25.0}),
    ("haversine", {"tau": 75.0}),
    ("expected_distance", {}),
    ("distance_weighted", {}),
)
WRONG_KM, SPREAD_KM = 80.0, 30.0  # the prediction of the lower row: how far off it is, and how wide


def axes_of(figure: Figure, rows: int, columns: int) -> list[Axes]:
    """Empty maps."""
    maps = list(figure.subplots(rows, columns).flat)
    for one in maps:
        one.set_axis_off()
    return maps


def save(figure: Figure, output: Path) -> None:
    """Writes a PNG of few colours, which is small."""
    with io.BytesIO() as data:
        figure.savefig(data, format="png")
        Image.open(data).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(output, optimize=True)


def draw_kinds(photos: Points, test: Points, polygons: Path, output: Path) -> None:
    """One map for each kind of cells, coloured by training photos; titles give the oracle and photos in no cell."""
    figure = Figure(figsize=(10.5, 5.4), dpi=84, layout="constrained")
    *maps, bar = axes_of(figure, 2, 4)
    areas, norm = read_polygons(polygons, "name"), LogNorm(5, 250)
    for (name, options), chart in zip(KINDS, maps, strict=True):
        partition = build_partition(name, *photos, options, (), areas if name == "admin" else None)
        cells = partition.finest
        oracle = oracle_distances(*test, cells.assign(*test), *cells.point)
        shapes = geopandas.GeoDataFrame({"photos": np.maximum(cells.images, 1)}, geometry=list(cells.polygons()))
        shapes.plot("photos", ax=chart, norm=norm, edgecolor="white", linewidth=0.5, aspect=1 / np.cos(np.deg2rad(46)))
        chart.scatter(cells.point.longitude, cells.point.latitude, s=4, c="tab:red", linewidths=0)
        chart.set(xlim=extent(photos.longitude), ylim=extent(photos.latitude))
        missed = int((cells.assign(*test) < 0).sum())
        chart.set_title(
            f"{name}: {len(cells)} cells\noracle {np.nanmedian(oracle):.1f} km, {missed} in none", fontsize=9
        )
    figure.colorbar(ScalarMappable(norm, "viridis"), ax=bar, label="training photos", location="left", fraction=0.9)
    save(figure, output)


def extent(degrees: np.ndarray) -> tuple[float, float]:
    """Limits of an axis."""
    margin = 0.03 * np.ptp(degrees)
    return degrees.min() - margin, degrees.max() + margin


def gradient(name: str, options: dict, geometry: CellGeometry, truth: CellTruth, logits: np.ndarray) -> np.ndarray:
    """By how much a step of gradient descent raises each logit, divided by the largest."""
    given = torch.tensor(logits[None], requires_grad=True)
    make_cell_loss(geometry, {name: 1.0}, {name: options})(CellOutputs(given), truth).backward()
    raised = -given.grad[0].numpy()
    return raised / np.abs(raised).max()


def draw_losses(photos: Points, polygons: Path, output: Path) -> None:
    """Upper row: label or distance that a loss gives each cell for one photo. Lower row: the step of a wrong answer."""
    partition = build_partition("admin", *photos, {"cells": 60}, (), read_polygons(polygons, "name"))
    cells = partition.finest
    geometry = CellGeometry(*cells.point, cells.reach_km, partition.ancestors)
    central = haversine_km(*photos, np.median(photos.latitude), np.median(photos.longitude))
    off = haversine_km(*photos, *(column[cells.assign(*photos)] for column in cells.point))
    photo = int(np.argmin(off + central / 10))
    place = photos.take(np.array([photo]))
    truth = CellTruth(*map(torch.from_numpy, (*place, partition.assign(*place).astype(np.int64))))
    distance = haversine_km(*cells.point, *(float(column[0]) for column in place))
    wrong = int(np.argmin(np.abs(distance - WRONG_KM)))
    logits = -haversine_km(*cells.point, *(column[wrong] for column in cells.point)) / SPREAD_KM
    figure = Figure(figsize=(13, 5.6), dpi=84, layout="constrained")
    maps = axes_of(figure, 2, len(LOSSES))
    for column, (name, options) in enumerate(LOSSES):
        upper, lower = maps[column], maps[column + len(LOSSES)]
        if "distance" in name:
            shown, title = distance, "distance of the cell, km"
        elif name == "haversine":
            shown, title = HaversineSmoothing(geometry, **options).labels(truth)[0].numpy(), "label"
        else:
            shown, title = (np.arange(len(cells)) == int(truth.cells[0, -1])).astype(float), "label"
        words = ", ".join(f"{key}={value:g}" for key, value in options.items())
        paint(upper, cells, shown, "cividis_r", Normalize(0, shown.max()), f"{name} {words}\n{title}", place)
        paint(
            lower,
            cells,
            gradient(name, options, geometry, truth, logits),
            "RdBu",
            TwoSlopeNorm(0, -1, 1),
            "step of a wrong answer (x)",
            place,
        )
        lower.plot(cells.point.longitude[wrong], cells.point.latitude[wrong], "kx")
    save(figure, output)


def paint(
    chart: Axes, cells: Cells, values: np.ndarray, colours: str, norm: Normalize, title: str, photo: Points
) -> None:
    """A map of one value for each cell, with the photo."""
    shapes = geopandas.GeoDataFrame({"value": values}, geometry=list(cells.polygons()))
    style = dict(cmap=colours, norm=norm, edgecolor="0.6", linewidth=0.4, aspect=1 / np.cos(np.deg2rad(46)))
    shapes.plot("value", ax=chart, legend=True, legend_kwds={"shrink": 0.7}, **style)
    chart.plot(photo.longitude, photo.latitude, "o", color="tab:red", markersize=5)
    chart.set_title(title, fontsize=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a demo country, as demo.country.write_country makes it")
    parser.add_argument(
        "--output", type=Path, default=Path("docs"), metavar="DIR", help="for cells.png, cell_losses.png"
    )
    args = parser.parse_args()
    photos, test = (Points(*read_geotagged(args.folder / f"{name}.csv").places.degrees) for name in ("train", "test"))
    polygons = args.folder / "municipalities.geojson"
    draw_kinds(photos, test, polygons, args.output / "cells.png")
    draw_losses(photos, polygons, args.output / "cell_losses.png")


if __name__ == "__main__":
    main()
