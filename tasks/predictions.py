"""Queries with their predictions, as reports show them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from datasets.distances import nearest_alike, within
from datasets.places import Places
from reports.predictions import Match, QueryResult
from reports.predictions_table import save_predictions_table
from tasks.exports import first_predictions
from tasks.measuring import Evaluation
from tasks.signals import from_first, uncertainties


def query_results(evaluation: Evaluation, count: int) -> Iterator[QueryResult]:
    """Yields each query with its first `count` predictions, and its nearest positive where the first one is wrong."""
    queries, database = evaluation.queries, evaluation.database
    nearest = _nearest_positives(evaluation)
    for query, positives in enumerate(_all_positives(evaluation)):
        matches = []
        for rank, row in enumerate(first_predictions(evaluation, query, count)):
            distance = None if evaluation.distances is None else float(evaluation.distances[query, rank])
            correct = None if evaluation.correct is None else bool(evaluation.correct[query, rank])
            similarity = float(evaluation.similarities[query, rank])
            match = Match(database.path(row), correct, distance, similarity, _heading(database, row))
            matches.append(_with_inliers(match, evaluation, query, rank))
        positive = None
        if query in nearest:
            row, metres = nearest[query]
            positive = Match(database.path(row), True, metres, None, _heading(database, row))
        paths = None if positives is None else [database.path(row) for row in positives]
        yield QueryResult(queries.path(query), _heading(queries, query), matches, positive, paths)


def _all_positives(evaluation: Evaluation) -> Iterable[np.ndarray | None]:
    """Yields the rows of the correct database images of each query; None without labels."""
    if evaluation.positives is not None:
        return (evaluation.positives.of(query) for query in range(len(evaluation.queries)))
    if evaluation.distances is None:
        return [None] * len(evaluation.queries)
    if evaluation.sequences is not None:
        return evaluation.sequences.within(evaluation.threshold)
    return within(evaluation.queries, evaluation.database, evaluation.threshold)


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


def _nearest_positives(evaluation: Evaluation) -> dict[int, tuple[int, float | None]]:
    """Returns (row, metres) of the nearest positive of each wrongly answered query; of those up to 10 cm farther the
    one that looks in the most similar direction. Where lists say what is correct, it is the first of the list."""
    if evaluation.correct is None:
        return {}
    if evaluation.positives is not None:
        first = evaluation.positives.first
        wrong = np.flatnonzero(~evaluation.correct[:, 0] & (first >= 0))
        return {query: (int(first[query]), None) for query in wrong.tolist()}
    wrong = np.flatnonzero(evaluation.distances[:, 0] > evaluation.threshold)
    metres, rows, _ = _nearest_by_distance(evaluation, wrong)
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
        evaluation: evaluation of the test set.
        name: name of the test set.
        file: file to write.
        probability: probability that each first prediction is right, (q,); None where it was not calibrated.
        calibrated_on: the name of the validation set that it was fitted to.
    """
    queries, database, found = evaluation.queries, evaluation.database, evaluation.predictions
    about: dict = {} if calibrated_on is None else {"calibrated_on": calibrated_on}
    if sequences := evaluation.results.get("sequences"):
        about["sequences"] = sequences
    save_predictions_table(
        file,
        {"test_set": name, "threshold": evaluation.threshold} | about,
        queries=queries,
        database=database,
        predictions=found,
        similarities=evaluation.similarities,
        distances=evaluation.distances,
        from_first=from_first(evaluation),
        nearest=_nearest(evaluation),
        correct=evaluation.correct,
        inliers=evaluation.inliers,
        sue=uncertainties(evaluation),
        probability=probability,
    )


def _nearest(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Returns metres, row and difference of headings of a right image of each query; None without labels."""
    if evaluation.correct is None:
        return None
    if evaluation.positives is None:
        return _nearest_by_distance(evaluation)
    unknown = np.full(len(evaluation.queries), np.nan)
    return unknown, evaluation.positives.first, unknown


def _nearest_by_distance(
    evaluation: Evaluation, chosen: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns metres, row and difference of headings of the nearest database image of queries; None for all."""
    if evaluation.sequences is not None:
        return evaluation.sequences.nearest(evaluation.threshold, chosen)
    queries = evaluation.queries if chosen is None else evaluation.queries.take(chosen)
    return nearest_alike(queries, evaluation.database, evaluation.threshold)
