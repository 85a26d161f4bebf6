"""What is correct on a test set: by the distance between positions, or by lists."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from datasets.distances import all_near, distance_rule, nearest_in_space, pair_distances
from datasets.places import Places
from datasets.positives import Positives
from datasets.sequence_distances import SequencePair
from datasets.test_dataset import Groups, TestSet
from metrics.recall import RECALL_VALUES
from retrieval.table import DescriptorTable


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
