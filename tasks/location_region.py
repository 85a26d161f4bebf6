"""Positions of a region, for training, for choices and for the final test."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from cells.base import Points
from cells.polygons import read_polygons
from cells.sampling import draw_points
from commons.errors import PlacewiseError
from commons.sphere import check_degrees
from datasets.positions import read_positions

TABLES = (".csv", ".parquet")
LEAST = 30  # positions of a table, so that each part has some
MOST_HELD_OUT = 0.1  # share of a table's positions in each of validation and test


class RegionSplit(NamedTuple):
    """Positions without a common one: to train with, to choose settings with, and to measure with once."""

    train: Points
    validation: Points
    test: Points


def split_region(source: str | Path, train: int, validation: int, test: int, seed: int = 0) -> RegionSplit:
    """Returns positions of a region.

    Args:
        source: polygons in any format of `cells.polygons`, whose area positions are drawn from uniformly; or a table of
            positions (.csv, .parquet), of which each different one is used at most once.
        train, validation, test: number of positions; at most, for a table, of which validation and test get a tenth.
        seed: seed of the draws. Those of validation and test do not depend on the number of the others.

    Raises:
        PlacewiseError: if the source cannot be read, or the table has too few positions.
    """
    counts = {"test": test, "validation": validation, "train": train}
    if is_table(source):
        return _split_table(Path(source), counts, seed)
    shapes = read_polygons(source).shapes
    parts = {
        name: draw_points(shapes, count, np.random.default_rng([seed, number]))
        for number, (name, count) in enumerate(counts.items())
    }
    return RegionSplit(**parts)


def is_table(source: str | Path) -> bool:
    """Whether a source is a table of positions; if not, it has polygons."""
    return Path(source).suffix.lower() in TABLES


def table_positions(path: str | Path) -> np.ndarray:
    """Returns the different positions of a table in degrees, float64 (n, 2), in ascending order.

    Raises:
        PlacewiseError: if the table cannot be read, or a row is no point on earth.
    """
    try:
        latitude, longitude = check_degrees(*read_positions(path))
    except PlacewiseError as error:
        text = str(error)
        raise PlacewiseError(text if text.startswith(str(path)) else f"{path}: {text}") from error
    known = np.isfinite(latitude)
    return np.unique(np.stack([latitude[known], longitude[known]], axis=1), axis=0)


def _split_table(path: Path, counts: dict[str, int], seed: int) -> RegionSplit:
    rows = table_positions(path)
    if len(rows) < LEAST:
        raise PlacewiseError(f"{path}: has {len(rows)} different positions, but at least {LEAST} are needed")
    rows, parts = np.random.default_rng(seed).permutation(rows), {}
    held_out = int(MOST_HELD_OUT * len(rows))
    for name, count in counts.items():
        own, rows = np.split(rows, [count if name == "train" else min(count, held_out)])
        parts[name] = Points(*own.T)
    return RegionSplit(**parts)
