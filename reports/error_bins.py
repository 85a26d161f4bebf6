"""Recall in bins: by time of day, condition, heading, distance to the database and similarity margin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import binomtest

HOURS = 3
TURN_EDGES = (5, 10, 15, 30, 60, 90, 180)
# In thresholds: where the nearest image lies beyond one, no prediction can be right.
DISTANCE_EDGES = (0.2, 0.4, 1, 2, 4, np.inf)
QUANTILES = 5
MOST_CONDITIONS = 12
# Only days that exist: cameras whose clock was never set write zeros, and seconds since 1970 are not a date.
TIME = r"^(?:19|20)\d\d\D?(?:0[1-9]|1[0-2])\D?(?:0[1-9]|[12]\d|3[01])\D?(?P<hour>[01]\d|2[0-3])\D?[0-5]\d"
NOTE = r"^(?:.*/)?@(?:[^@/]*@){13}(?P<note>[A-Za-z]+)"


@dataclass(frozen=True)
class Bin:
    """A group of queries and its recall.

    Attributes:
        label: label of the group.
        queries: how many there are.
        right, right_5: how many have a right prediction at rank 1, and among the first 5.
        low, high: the 95 % Wilson interval of R@1 in percent (https://doi.org/10.1080/01621459.1927.10502953).
    """

    label: str
    queries: int
    right: int
    right_5: int
    low: float
    high: float


@dataclass(frozen=True)
class Section:
    """The bins of one property of queries.

    Attributes:
        title: title of the section.
        what: name of the property, the heading of its labels.
        bins: may be empty.
        note: says why there are no bins.
    """

    title: str
    what: str
    bins: list[Bin]
    note: str = ""


def make_bin(label: str, first_right: np.ndarray) -> Bin:
    """Counts queries by the rank of their first right prediction, 0 for none; there must be at least one query."""
    right = int((first_right == 1).sum())
    interval = binomtest(right, len(first_right)).proportion_ci(0.95, method="wilson")
    right_5 = int(((first_right >= 1) & (first_right <= 5)).sum())
    return Bin(label, len(first_right), right, right_5, 100 * interval.low, 100 * interval.high)


def all_sections(table: pa.Table, about: Mapping[str, Any]) -> list[Section]:
    """Returns the bins of every property that the columns of a predictions table have.

    Args:
        table, about: of `load_predictions_table`.
    """
    first_right = ranks(table)
    turn, distance, margin = (_column(table, name) for name in ("nearest_turn", "nearest_distance", "margin"))
    edges = [factor * about["threshold"] for factor in DISTANCE_EDGES]
    sections = [
        _by_hour(table["timestamp"], first_right),
        _by_condition(table["query"], first_right),
        Section(
            "Heading difference to the nearest database image",
            "heading difference",
            upper_bins(turn, TURN_EDGES, first_right, "°"),
            "" if np.isfinite(turn).any() else "Queries or database have no headings.",
        ),
        Section(
            "Distance to the nearest database image", "nearest image", upper_bins(distance, edges, first_right, " m")
        ),
        Section("Similarity margin to another place", "margin", quantile_bins(margin, first_right)),
    ]
    return [section for section in sections if section.bins or section.note]


def ranks(table: pa.Table) -> np.ndarray:
    """Returns the rank of the first right prediction of each query, 0 where none is right."""
    return table["first_right"].fill_null(0).to_numpy()


def answerable(table: pa.Table, threshold: float) -> np.ndarray:
    """Returns whether each query has a right image in the database: within `threshold` metres, or in a list."""
    metres = _column(table, "nearest_distance")
    return metres <= threshold if np.isfinite(metres).any() else pc.is_valid(table["nearest"]).to_numpy()


def hours_of(timestamps: pa.Array) -> np.ndarray:
    """Returns the hour in timestamps like 20230714_193000 or 2023:07:14 19:30:00; NaN where none is given."""
    return _to_numbers(pc.struct_field(pc.extract_regex(timestamps, TIME), "hour").cast(pa.float64()))


def upper_bins(values: np.ndarray, edges: Sequence[float], first_right: np.ndarray, unit: str) -> list[Bin]:
    """Returns bins (a, b] between consecutive edges, the first from 0 on, and one for unknown values.

    Empty bins are left out. If all values are unknown, there are no bins.
    """
    if not np.isfinite(values).any():
        return []
    where = np.searchsorted(edges, values)  # NaN falls behind the last edge
    bins = []
    for position, (low, high) in enumerate(zip([0, *edges[:-1]], edges, strict=True)):
        members = first_right[where == position]
        label = f"over {low:g}{unit}" if high == np.inf else f"{low:g} to {high:g}{unit}"
        bins += [make_bin(label, members)] if len(members) else []
    unknown = first_right[~np.isfinite(values)]
    return bins + ([make_bin("unknown", unknown)] if len(unknown) else [])


def quantile_bins(values: np.ndarray, first_right: np.ndarray, count: int = QUANTILES) -> list[Bin]:
    """Returns at most `count` bins of about equal size, in ascending order of values. Equal values share a bin."""
    if not len(values):
        return []
    inner = np.unique(np.quantile(values, np.arange(1, count) / count))
    where = np.searchsorted(inner, values)
    bins = []
    for position in np.unique(where):
        members = where == position
        label = f"{values[members].min():.3f} to {values[members].max():.3f}"
        bins.append(make_bin(label, first_right[members]))
    return bins


def _by_hour(timestamps: pa.Array, first_right: np.ndarray) -> Section:
    hours = hours_of(timestamps)
    title = ("Time of day", "time")
    if not np.isfinite(hours).any():
        return Section(*title, [], "The queries' timestamps have no time of day.")
    names = [f"{start:02d} to {start + HOURS:02d} h" for start in range(0, 24, HOURS)]
    where = np.where(np.isfinite(hours), np.nan_to_num(hours) // HOURS, len(names)).astype(int)
    return Section(*title, _groups(where, [*names, "unknown"], first_right))


def _by_condition(names: pa.Array, first_right: np.ndarray) -> Section:
    """Bins by the first word of the note in file names, such as `night` in night_forward_city of MSLS."""
    words = pc.struct_field(pc.extract_regex(names, NOTE), "note").fill_null("unknown").to_numpy(zero_copy_only=False)
    known, where = np.unique(words, return_inverse=True)
    if not 2 <= len(known) <= MOST_CONDITIONS:
        return Section("Condition", "condition", [])
    return Section("Condition, as noted in the file names", "condition", _groups(where, known, first_right))


def _groups(where: np.ndarray, names: Sequence[str], first_right: np.ndarray) -> list[Bin]:
    return [make_bin(str(names[position]), first_right[where == position]) for position in np.unique(where)]


def _column(table: pa.Table, name: str) -> np.ndarray:
    return _to_numbers(table[name])


def _to_numbers(column: pa.Array) -> np.ndarray:
    """Returns float64 with NaN for null."""
    return column.cast(pa.float64()).fill_null(np.nan).to_numpy()
