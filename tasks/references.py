"""Labels of positions, such as country and region, taken from the nearest of many photos with known labels."""

import base64

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metrics.geodesic import nearest_references

KINDS = ("country", "region", "sub_region", "city")
MOST, DECIMALS = 100_000, 2  # references that are kept, and decimals of their degrees: about a kilometre


def make_references(latitude: np.ndarray, longitude: np.ndarray, labels: dict[str, np.ndarray]) -> pa.Table | None:
    """Returns one photo for each position, rounded to a kilometre, with its labels; None if no label is known.

    Args:
        latitude, longitude: of photos in degrees, (n,), NaN where unknown.
        labels: str (n,) by kind, "" or None where unknown; kinds other than KINDS are left out.
    """
    kinds = [kind for kind in KINDS if kind in labels]
    known = np.isfinite(latitude) & np.isfinite(longitude)
    if not kinds or not known.any():
        return None
    rounded = np.stack([latitude[known], longitude[known]], axis=1).round(DECIMALS)
    rows = np.flatnonzero(known)[np.unique(rounded, axis=0, return_index=True)[1]]
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST, replace=False))
    columns = {"latitude": latitude[rows], "longitude": longitude[rows]}
    return pa.table(columns | {kind: pa.array(labels[kind][rows], pa.string()) for kind in kinds})


def predicted_labels(references: pa.Table, latitude: np.ndarray, longitude: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the labels of the nearest reference, str (n,) by kind; "" for NaN."""
    known = references["latitude"].to_numpy(), references["longitude"].to_numpy()
    rows = nearest_references(latitude, longitude, *known)
    found = {}
    for kind in references.column_names[2:]:
        column = references[kind].to_numpy(zero_copy_only=False)
        found[kind] = np.where(rows >= 0, column[np.maximum(rows, 0)], "")
    return found


def to_text(references: pa.Table) -> str:
    """Returns references as text, for checkpoints."""
    sink = pa.BufferOutputStream()
    pq.write_table(references, sink, compression="zstd")
    return base64.b64encode(sink.getvalue().to_pybytes()).decode("ascii")


def from_text(text: str) -> pa.Table:
    """Reads references that `to_text` has written."""
    return pq.read_table(pa.BufferReader(base64.b64decode(text)))
