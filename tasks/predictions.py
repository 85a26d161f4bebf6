"""Queries with their predictions, as reports show them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from datasets.distances import nearest_alike
from datasets.places import Places
from reports.predictions import Match, QueryResult
from reports.predictions_table import save_predictions_table
from tasks.measuring import Evaluation
from tasks.signals import from_first, uncertainties


def query_results(evaluation: Evaluation, count: int) -> Iterator[QueryResult]:
    """Yields each query with its first `count` predictions, and its nearest positive where the first one is wrong."""
    labelled = evaluation.distances is not None
    positives = _nearest_positives(evaluation) if labelled else {}
    for query in range(len(evaluation.queries)):
        matches = []
        for rank in range(min(count, evaluation.predictions.shape[1])):
            distance = float(evaluation.distances[query, rank]) if labelled else None
            similarity = float(evaluation.similarities[query, rank])
            match = _match(evaluation, evaluation.predictions[query, rank], distance, similarity)
            matches.append(_with_inliers(match, evaluation, query, rank))
        positive = _match(evaluation, *positives[query], None) if query in positives else None
        yield QueryResult(evaluation.queries.path(query), _heading(evaluation.queries, query), matches, positive)


def _match(evaluation: Evaluation, row: int, distance: float | None, similarity: float | None) -> Match:
    correct = None if distance is None else distance <= evaluation.threshold
    return Match(evaluation.database.path(row), correct, distance, similarity, _heading(evaluation.database, row))


def _with_inliers(match: Match, evaluation: Evaluation, query: int, rank: int) -> Match:
    """Adds the matching points of a prediction whose inliers were counted."""
    counts = evaluation.inliers
    if counts is None or rank >= counts.shape[1] or counts[query, rank] < 0:
        return match
    points = np.concatenate(evaluation.verify(evaluation.queries.path(query), match.path), axis=1)
    return replace(match, inliers=int(counts[query, rank]), lines=points)


def _heading(places: Places, row: int) -> float | None:
    heading = float(places.heading[row])
    return None if np.isnan(heading) else heading


def _nearest_positives(evaluation: Evaluation) -> dict[int, tuple[int, float]]:
    """Returns (row, metres) of the nearest positive of each wrongly answered query; of those up to 10 cm farther the
    one that looks in the most similar direction."""
    wrong = np.flatnonzero(evaluation.distances[:, 0] > evaluation.threshold)
    metres, rows, _ = nearest_alike(evaluation.queries.take(wrong), evaluation.database, evaluation.threshold)
    near = metres <= evaluation.threshold
    return dict(zip(wrong[near].tolist(), zip(rows[near].tolist(), metres[near].tolist(), strict=True), strict=True))


def keep_predictions(
    evaluation: Evaluation,
    name: str,
    file: Path,
    probability: np.ndarray | None = None,
    calibrated_on: str | None = None,
) -> None:
    """Writes what python -m tools.errors and tools.confidence need of an evaluation.

    Args:
        evaluation: of the test set.
        name: of the test set.
        file: to write.
        probability: that each first prediction is right, (q,); None where it was not calibrated.
        calibrated_on: the name of the validation set that it was fitted to.
    """
    queries, database, found = evaluation.queries, evaluation.database, evaluation.predictions
    labelled = evaluation.distances is not None
    fitted = {} if calibrated_on is None else {"calibrated_on": calibrated_on}
    save_predictions_table(
        file,
        {"test_set": name, "threshold": evaluation.threshold} | fitted,
        queries=queries,
        database=database,
        predictions=found,
        similarities=evaluation.similarities,
        distances=evaluation.distances,
        from_first=from_first(evaluation),
        nearest=nearest_alike(queries, database, evaluation.threshold) if labelled else None,
        inliers=evaluation.inliers,
        sue=uncertainties(evaluation),
        probability=probability,
    )
