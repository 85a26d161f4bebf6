"""Queries with their predictions, as reports show them."""

from collections.abc import Iterator

import numpy as np

from datasets.places import Places, nearest_in_space
from evaluation.measuring import Evaluation
from reports.predictions import Match, QueryResult


def query_results(evaluation: Evaluation, count: int) -> Iterator[QueryResult]:
    """Yields each query with its first `count` predictions, and its nearest positive where the first one is wrong."""
    labelled = evaluation.distances is not None
    positives = _nearest_positives(evaluation) if labelled else {}
    for query in range(len(evaluation.queries)):
        matches = []
        for rank in range(min(count, evaluation.predictions.shape[1])):
            distance = float(evaluation.distances[query, rank]) if labelled else None
            matches.append(
                _match(
                    evaluation,
                    evaluation.predictions[query, rank],
                    distance,
                    float(evaluation.similarities[query, rank]),
                )
            )
        positive = _match(evaluation, *positives[query], None) if query in positives else None
        yield QueryResult(evaluation.queries.path(query), _heading(evaluation.queries, query), matches, positive)


def _match(evaluation: Evaluation, row: int, distance: float | None, similarity: float | None) -> Match:
    correct = None if distance is None else distance <= evaluation.threshold
    return Match(evaluation.database.path(row), correct, distance, similarity, _heading(evaluation.database, row))


def _heading(places: Places, row: int) -> float | None:
    heading = float(places.heading[row])
    return None if np.isnan(heading) else heading


def _nearest_positives(evaluation: Evaluation, candidates: int = 16) -> dict[int, tuple[int, float]]:
    """Returns (row, metres) of the nearest positive of each wrongly answered query; of equally near ones the one that
    looks in the most similar direction."""
    wrong = np.flatnonzero(evaluation.distances[:, 0] > evaluation.threshold)
    queries, database = evaluation.queries.take(wrong), evaluation.database
    metres, rows = nearest_in_space(queries, database, candidates)
    turn = np.abs(np.mod(queries.heading[:, None] - database.heading[rows] + 180, 360) - 180)
    order = np.lexsort([np.nan_to_num(turn), metres.round(1)], axis=1)[:, 0]
    best = np.arange(len(wrong))
    found = {}
    for query, row, distance in zip(wrong, rows[best, order], metres[best, order], strict=True):
        if distance <= evaluation.threshold:
            found[int(query)] = (int(row), float(distance))
    return found
