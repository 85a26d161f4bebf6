"""Recalls of a test set from the descriptors of its images."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from commons.errors import PlacewiseError
from datasets.places import Places
from datasets.positives import Positives
from datasets.sequence_distances import SequencePair
from datasets.test_dataset import Groups
from metrics.recall import decided_by_ties, recalls
from retrieval.engine import Engine
from retrieval.index import search, tie_groups
from retrieval.table import DescriptorTable
from tasks.truth import Truth

Figures = dict[str, float | int | str | list]
Find = Callable[[DescriptorTable, DescriptorTable], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Evaluation:
    """What a network found on a test set, for the images that could be decoded.

    Attributes:
        results: recalls in percent and counts, as in results.json; under "test_time", where anything is done at test
            time, a dict for each step of it.
        database, queries: places.
        predictions: rows of `database`, best first, (q, k). Where a query's part of the database has fewer images, the
            last one is repeated.
        similarities: cosines, (q, k).
        distances: metres, (q, k); None without labels, or where lists say what is correct.
        threshold: metres within which a prediction is right.
        seconds: seconds that the search took.
        describing_seconds: seconds that reading the images and extracting descriptors took.
        positives: lists that say what is correct; None where distances do.
        further: results within further thresholds, by their metres.
        described: how many images were described in `describing_seconds`.
        truth: what is correct; None where nothing is known.
        inliers: matching local features of the first K predictions, in their order, int32 (q, K), -1 where they were
            not counted; None without re-ranking.
        verify: returns the inliers of a query's file and a database image's file, as points (x, y) in shares of width
            and height; None without re-ranking.
    """

    results: Figures
    database: Places
    queries: Places
    predictions: np.ndarray
    similarities: np.ndarray
    distances: np.ndarray | None
    threshold: float
    seconds: float
    describing_seconds: float = 0.0
    positives: Positives | None = None
    further: Mapping[float, Figures] = field(default_factory=dict)
    described: int = 0
    truth: Truth | None = None
    inliers: np.ndarray | None = None
    verify: Callable[[Path, Path], tuple[np.ndarray, np.ndarray]] | None = None

    @cached_property
    def correct(self) -> np.ndarray | None:
        """Whether each prediction is correct, bool (q, k); None without labels."""
        if self.positives is not None:
            return self.positives.contains(self.predictions)
        return None if self.distances is None else self.distances <= self.threshold

    @property
    def sequences(self) -> SequencePair | None:
        """The sequences that queries and predictions are, by their middle frames; None for single images."""
        return None if self.truth is None else self.truth.sequences


def parts_of(
    groups: Groups | None, database: DescriptorTable, queries: DescriptorTable
) -> Iterator[tuple[DescriptorTable, DescriptorTable]]:
    """Yields the descriptors of the parts that are searched each on its own; their vectors are copies.

    Raises:
        PlacewiseError: if no image of a part's database could be decoded.
    """
    if groups is None:
        yield database, queries
        return
    for name, (database_rows, query_rows) in zip(groups.names, groups.members(), strict=True):
        part = database.among(database_rows), queries.among(query_rows)
        if len(part[1]) and not len(part[0]):
            raise PlacewiseError(f"{name}: none of its database images can be decoded")
        if len(part[0]):
            yield part


def measure(
    truth: Truth,
    database: DescriptorTable,
    queries: DescriptorTable,
    count: int,
    index: Engine | str = "flat",
    crops: Sequence[DescriptorTable] = (),
    combine: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]] | None = None,
    find: Find | None = None,
) -> Evaluation:
    """Searches all queries and compares positions.

    Args:
        truth: ground truth of the images that the tables describe.
        database, queries: descriptors.
        count: predictions a query.
        index: how to search, one of retrieval.index.INDICES.
        crops: descriptors of each crop of the queries, to search for instead of `queries`.
        combine: makes predictions, similarities and what orders them, (q, k) each, of the predictions and similarities
            of all crops, (q, crops, k).
        find: searches queries in a database instead; returns rows and similarities as `retrieval.index.search` does.
    """

    def default(base: DescriptorTable, asking: DescriptorTable) -> tuple[np.ndarray, np.ndarray]:
        return search(base, asking.descriptors(), count, index)

    started = time.monotonic()
    if combine is None:
        found, similarities = _search(truth.groups, database, queries, find or default)
        scores = similarities
    else:
        of_crops = [_search(truth.groups, database, crop, default) for crop in crops]
        found, similarities, scores = combine(*(np.stack(values, axis=1) for values in zip(*of_crops, strict=True)))
    seconds = time.monotonic() - started
    predictions = np.searchsorted(truth.database_rows, found)
    distances = truth.distances(predictions)
    evaluation = Evaluation(
        {},
        truth.database,
        truth.queries,
        predictions,
        similarities,
        distances,
        truth.threshold,
        seconds,
        positives=truth.positives,
        truth=truth,
    )
    return with_figures(evaluation, tie_groups(scores))


def with_figures(evaluation: Evaluation, ties: np.ndarray) -> Evaluation:
    """Returns an evaluation with the figures of its predictions, within all thresholds.

    Args:
        evaluation: evaluation with its truth; other entries of its results are kept.
        ties: the same number for predictions of a query that are equally good, 0 for the first ones, int (q, k).
    """
    truth, results = evaluation.truth, dict(evaluation.results)
    if truth.answerable is not None:
        results |= _figures(truth, evaluation.correct, truth.answerable, ties, truth.threshold)
    counts = {"database": len(evaluation.database), "queries": len(evaluation.queries)}
    further = {
        other: _figures(truth, evaluation.distances <= other, answerable, ties, other) | counts
        for other, answerable in truth.further.items()
    }
    return replace(evaluation, results=results | counts, further=further)


def _search(
    groups: Groups | None, database: DescriptorTable, queries: DescriptorTable, find: Find
) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows of the test set's database and similarities, (q, k), in ascending order of the queries' rows."""
    if groups is None:
        return find(database, queries)
    order = np.sort(queries.rows)
    parts = [
        (np.searchsorted(order, np.sort(asking.rows)), *find(base, asking))
        for base, asking in parts_of(groups, database, queries)
        if len(asking)
    ]
    most = max((own.shape[1] for _, own, _ in parts), default=0)
    found, similarities = (np.zeros((len(order), most), kind) for kind in (np.int64, np.float32))
    for rows, *own in parts:
        padding = ((0, 0), (0, most - own[0].shape[1]))
        found[rows], similarities[rows] = (np.pad(values, padding, "edge") for values in own)
    return found, similarities


def _figures(truth: Truth, correct: np.ndarray, answerable: np.ndarray, ties: np.ndarray, threshold: float) -> Figures:
    """Returns recalls and counts; `correct` (q, k), `answerable` (q,), `ties` as for `with_figures`."""
    figures: Figures = recalls(correct, answerable, truth.recall_values)
    figures["queries_without_positives"] = int((~answerable).sum())
    figures["queries_decided_by_ties"] = decided_by_ties(correct, ties)
    if truth.positives is None:
        figures["positive_dist_threshold"] = threshold
    return figures | {"rule": truth.rule_within(threshold)}
