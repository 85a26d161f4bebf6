"""Recalls of a test set from the descriptors of its images."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from commons.errors import PlacewiseError
from datasets.distances import all_near, distance_rule, nearest_in_space, pair_distances
from datasets.places import Places
from datasets.positives import Positives
from datasets.sequence_distances import SequencePair
from datasets.test_dataset import Groups, TestSet
from metrics.recall import RECALL_VALUES, decided_by_ties, recalls
from retrieval.engine import Engine
from retrieval.index import search, tie_groups
from retrieval.table import DescriptorTable

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
    truth: "Truth | None" = None
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


@dataclass(frozen=True)
class Truth:
    """What is correct for the images that could be decoded.

    Attributes:
        database_rows: their rows in the test set, ascending; `database` are their places. Of sequences, their numbers.
        database, queries: places; of sequences, those of their middle frames.
        answerable: whether the database has a correct image of the query, (q,); None without labels.
        threshold: metres.
        positives: lists of correct images, in rows of `database`; None where distances decide.
        groups: parts that are searched each on its own, of all images of the test set; None for one database.
        further: for further thresholds, by their metres, what `answerable` is.
        recall_values: the N of recall@N.
        protocol: which queries and which ground truth, in words.
        sequences: what queries and database are instead of single images; None for single images.
    """

    database_rows: np.ndarray
    database: Places
    queries: Places
    answerable: np.ndarray | None
    threshold: float
    positives: Positives | None = None
    groups: Groups | None = None
    further: Mapping[float, np.ndarray] = field(default_factory=dict)
    recall_values: tuple[int, ...] = RECALL_VALUES
    protocol: str = ""
    sequences: SequencePair | None = None

    def distances(self, predictions: np.ndarray) -> np.ndarray | None:
        """Returns how far predictions are from their queries, metres (q, k); None where no distance decides."""
        if self.answerable is None or self.positives is not None:
            return None
        if self.sequences is not None:
            return self.sequences.distances(predictions)
        return pair_distances(self.queries, self.database, predictions)

    @property
    def rule(self) -> str:
        """What recall@N means here, in words."""
        return self.rule_within(self.threshold)

    def rule_within(self, threshold: float) -> str:
        """What recall@N within a distance means here, in words."""
        start = "R@N: percentage of all queries with a"
        if self.sequences is not None:
            return self._sequence_rule(threshold)
        if self.positives is not None:
            return f"{start} correct database image among their first N predictions, {self.protocol}"
        return (
            f"{start} database image within {threshold:g} m among their first N predictions, distances in "
            f"{distance_rule(self.queries, self.database)}"
        )

    def _sequence_rule(self, threshold: float) -> str:
        lengths = self.sequences.query_windows.length, self.sequences.database_windows.length
        query, predicted = ("image" if one == 1 else f"sequence of {one} frames" for one in lengths)
        near = f"within {threshold:g} m of" if self.positives is None else "with a correct image among"
        how = f"distances in {distance_rule(self.queries, self.database)}" if self.positives is None else self.protocol
        return (
            f"R@N: percentage of all queries, each one {query}, with a frame {near} a frame of one of their first N "
            f"predictions, each one {predicted}, {how}"
        )


def find_truth(
    test_set: TestSet,
    database: DescriptorTable,
    queries: DescriptorTable,
    threshold: float | Sequence[float],
    recall_values: Sequence[int] = RECALL_VALUES,
) -> Truth:
    """Finds which queries can be answered, in terms of the images that were described.

    Args:
        test_set: database and queries.
        database, queries: descriptors.
        threshold: metres; of several, the first is the main one.
        recall_values: the N of recall@N; 1 is added.
    """
    main, *others = dict.fromkeys(np.atleast_1d(threshold).astype(float).tolist())
    rows = np.sort(database.rows), np.sort(queries.rows)
    places = test_set.database.take(rows[0]), test_set.queries.take(rows[1])
    own = {"groups": test_set.groups, "recall_values": tuple(sorted({1, *recall_values}))}
    own["protocol"] = test_set.protocol
    if not test_set.labelled:
        return Truth(rows[0], *places, None, main, **own)
    if test_set.positives is not None:
        positives = test_set.positives.take(rows[1], rows[0])
        if len(positives) and not positives.counts.any():
            logging.warning(f"{test_set.name}: the lists contain no correct image for any query, so all recalls are 0")
        return Truth(rows[0], *places, positives.counts > 0, main, positives, **own)
    metres = nearest_in_parts(*places, *rows, test_set.groups)
    if all_near(places[1], places[0], main):
        logging.warning(
            f"{test_set.name}: every database image is within {main:g} m of every query, so any prediction is correct: "
            "are its positions in degrees instead of metres, or is `positive_dist_threshold` too large?"
        )
    elif len(metres) and metres.min() > main:
        logging.warning(
            f"{test_set.name}: no database image is within {main:g} m of any query (the nearest is {metres.min():,.0f} "
            "m away), so all recalls are 0: are the database and the queries of the same data set?"
        )
    further = {other: metres <= other for other in others}
    return Truth(rows[0], *places, metres <= main, main, further=further, **own)


def nearest_in_parts(
    database: Places, queries: Places, database_rows: np.ndarray, query_rows: np.ndarray, groups: Groups | None
) -> np.ndarray:
    """Returns how far the nearest database image of its part is from each query, (q,).

    Args:
        database, queries: places.
        database_rows, query_rows: their rows in the test set.
        groups: parts of the test set; None for one database.
    """
    if groups is None:
        return nearest_in_space(queries, database)[0][:, 0]
    metres = np.full(len(queries), np.inf)
    for number in range(len(groups.names)):
        asked = np.flatnonzero(groups.queries[query_rows] == number)
        there = np.flatnonzero(groups.database[database_rows] == number)
        if len(asked) and len(there):
            metres[asked] = nearest_in_space(queries.take(asked), database.take(there))[0][:, 0]
    return metres


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
