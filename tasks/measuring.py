"""Recalls of a test set from the descriptors of its images."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.distances import all_near, distance_rule, nearest_in_space, pair_distances
from datasets.places import Places
from datasets.test_dataset import TestSet
from metrics.recall import decided_by_ties, recalls
from retrieval.index import search, tie_groups
from retrieval.table import DescriptorTable


@dataclass(frozen=True)
class Evaluation:
    """What a network found on a test set, for the images that could be decoded.

    Attributes:
        results: recalls in percent and counts, as in results.json; under "test_time", where anything is done at test
            time, a dict for each step of it.
        database, queries: places.
        predictions: rows of `database`, best first, (q, k).
        similarities: cosines, (q, k).
        distances: metres, (q, k); None without labels.
        threshold: metres within which a prediction is right.
        seconds: that the search took.
        describing_seconds: that reading and describing the images took.
        answerable: whether the database has an image within the threshold, (q,); None without labels.
        inliers: matching local features of the first K predictions, in their order, int32 (q, K), -1 where they were
            not counted; None without re-ranking.
        verify: returns the inliers of a query's file and a database image's file, as points (x, y) in shares of width
            and height; None without re-ranking.
    """

    results: dict[str, float | int | list]
    database: Places
    queries: Places
    predictions: np.ndarray
    similarities: np.ndarray
    distances: np.ndarray | None
    threshold: float
    seconds: float
    describing_seconds: float = 0.0
    answerable: np.ndarray | None = None
    inliers: np.ndarray | None = None
    verify: Callable[[Path, Path], tuple[np.ndarray, np.ndarray]] | None = None


@dataclass(frozen=True)
class Truth:
    """Where the images that could be decoded were taken.

    Attributes:
        database_rows: their rows in the test set, ascending; `database` are their places.
        database, queries: places.
        answerable: whether the database has an image within the threshold of the query, (q,); None without labels.
        threshold: metres.
    """

    database_rows: np.ndarray
    database: Places
    queries: Places
    answerable: np.ndarray | None
    threshold: float

    @property
    def rule(self) -> str:
        """What recall@N means here, in words."""
        return (
            f"R@N: percentage of all queries with a database image within {self.threshold:g} m among their first N "
            f"predictions, distances in {distance_rule(self.queries, self.database)}"
        )


def find_truth(test_set: TestSet, database: DescriptorTable, queries: DescriptorTable, threshold: float) -> Truth:
    """Finds which queries can be answered, in terms of the images that were described."""
    database_rows = np.sort(database.rows)
    places = test_set.database.take(database_rows), test_set.queries.take(np.sort(queries.rows))
    answerable = None
    if test_set.labelled:
        metres, _ = nearest_in_space(places[1], places[0])
        answerable = metres[:, 0] <= threshold
        if all_near(places[1], places[0], threshold):
            logging.warning(
                f"{test_set.name}: every database image is within {threshold:g} m of every query, so any prediction is "
                "right: are its positions degrees instead of metres, or is `positive_dist_threshold` too large?"
            )
    return Truth(database_rows, *places, answerable, threshold)


def measure(
    truth: Truth, database: DescriptorTable, queries: DescriptorTable, count: int, index: str = "flat"
) -> Evaluation:
    """Searches all queries and compares positions.

    Args:
        truth: of the images that the tables describe.
        database, queries: descriptors.
        count: predictions a query.
        index: how to search, one of retrieval.index.INDICES.
    """
    started = time.monotonic()
    found, similarities = search(database, queries.descriptors(), count, index)
    seconds = time.monotonic() - started
    predictions = np.searchsorted(truth.database_rows, found)
    results: dict[str, float | int | list] = {}
    distances = None
    if truth.answerable is not None:
        distances = pair_distances(truth.queries, truth.database, predictions)
        correct = distances <= truth.threshold
        results = recalls(correct, truth.answerable)
        results["queries_without_positives"] = int((~truth.answerable).sum())
        results["queries_decided_by_ties"] = decided_by_ties(correct, tie_groups(similarities))
        results |= {"positive_dist_threshold": truth.threshold, "rule": truth.rule}
    results |= {"database": len(database), "queries": len(queries)}
    return Evaluation(
        results,
        truth.database,
        truth.queries,
        predictions,
        similarities,
        distances,
        truth.threshold,
        seconds,
        answerable=truth.answerable,
    )
