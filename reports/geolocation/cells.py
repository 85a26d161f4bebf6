"""The cells that a report of geolocation draws, and the columns of its predictions."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class ReportCells:
    """The K finest cells, the classes.

    Attributes:
        names: str (K,).
        outlines: shapely polygons in WGS84 degrees, cut at the antimeridian, an object array (K,).
        latitude, longitude: points that the cells answer in degrees, float64 (K,).
        images: training photos of each cell, int (K,); None if cells have none.
        area_km2: float64 (K,).
        groups: the coarser cell that holds each cell, int (K,), or None if there is only one resolution.
    """

    names: np.ndarray
    outlines: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    images: np.ndarray | None
    area_km2: np.ndarray
    groups: np.ndarray | None = None


def numbers(predictions: pa.Table, name: str) -> np.ndarray:
    """Returns a column as float64 (n,), NaN for null."""
    return predictions[name].cast(pa.float64()).combine_chunks().fill_null(np.nan).to_numpy(zero_copy_only=False)


def cell_rows(predictions: pa.Table, name: str) -> np.ndarray:
    """Returns a column of cells as int64 (n,), -1 for null."""
    return predictions[name].cast(pa.int64()).combine_chunks().fill_null(-1).to_numpy(zero_copy_only=False)


def by_error(predictions: pa.Table) -> np.ndarray:
    """Returns the rows whose error is known, from the largest error to the smallest, int64 (m,)."""
    error = numbers(predictions, "error_km")
    order = np.argsort(-error, kind="stable")  # NaN last
    return order[: int(np.isfinite(error).sum())]
