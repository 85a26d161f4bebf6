"""From descriptors of paired images to official figures and predictions."""

from typing import Any

import numpy as np
import pyarrow as pa

from commons.sphere import haversine_km
from datasets.cross_view.layout import PairedSet
from metrics.cross_view import Lists, official_metrics, ranks
from retrieval.table import DescriptorTable
from tasks.cross_view_measuring import Found, best_references

MAIN, CHANCE = "R@1", "chance R@1"


def measure_pairs(pairs: PairedSet, queries: DescriptorTable, references: DescriptorTable, seconds: float) -> Found:
    """Searches queries among references.

    Queries that cannot be decoded are left out and counted. References that cannot be decoded are not found, so queries
    that have no other correct one count as wrong.

    Args:
        pairs: the test set.
        queries, references: descriptors of those images that could be decoded.
        seconds: seconds that the network took.
    """
    own, row = queries.rows, np.full(len(pairs.references), -1)
    row[references.rows] = np.arange(len(references))
    positives = taken(pairs.positives, own, row)
    semi = None if pairs.semi_positives is None else taken(pairs.semi_positives, own, row)
    vectors = [np.asarray(table.vectors, np.float32) for table in (queries, references)]
    results: dict[str, Any] = official_metrics(*vectors, positives, semi, precision=pairs.average_precision)
    counts = np.diff(positives.offsets)
    results[CHANCE] = 100 * float(counts.mean()) / len(references)
    results |= {
        "queries": len(own), "references": len(references), "skipped_queries": len(pairs.queries) - len(own),
        "skipped_references": len(pairs.references) - len(references), "layout": pairs.layout,
        "protocol": pairs.protocol or "the only one",
    }  # fmt: skip
    return Found(pairs, results, _table(pairs, own, references.rows, *vectors, positives), seconds)


def taken(lists: Lists, queries: np.ndarray, rows: np.ndarray) -> Lists:
    """Returns the lists of some queries, int (q,), with the new `rows` of references, -1 for those that are gone."""
    counts = np.diff(lists.offsets)[queries]
    first = np.repeat(lists.offsets[queries] - np.cumsum(counts) + counts, counts)
    found = rows[lists.rows[first + np.arange(counts.sum())]]
    owner = np.repeat(np.arange(len(queries)), counts)[found >= 0]
    return Lists(np.r_[0, np.cumsum(np.bincount(owner, minlength=len(queries)))], found[found >= 0])


def _table(
    pairs: PairedSet,
    own: np.ndarray,
    known: np.ndarray,
    queries: np.ndarray,
    references: np.ndarray,
    positives: Lists,
) -> pa.Table:
    """Returns a row for each query that was searched: its best references, and the rank of its best correct one."""
    top, similarity = best_references(queries, references)
    found = ranks(queries, references, {"": positives})[""]
    rank = np.where(found.correct > 0, found.better + found.tied + 1, -1)
    images, others = pairs.queries.take(own), pairs.references.take(known)
    at = (column[top[:, 0]] for column in others.degrees)
    metres = 1000 * haversine_km(*images.degrees, *at)
    names = np.array(others.names.to_pylist(), object)
    return pa.table(
        {
            "path": pa.array(images.names.to_pylist(), pa.string()),
            "latitude": images.latitude, "longitude": images.longitude,
            "predicted": pa.array(names[top[:, 0]].tolist(), pa.string()), "similarity": similarity[:, 0],
            "correct": rank == 1, "rank": rank, "error_m": metres,
            "top": pa.array(names[top].tolist(), pa.list_(pa.string())),
            "top_similarities": pa.array(list(similarity), pa.list_(pa.float32())),
        }
    )  # fmt: skip
