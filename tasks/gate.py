"""Adaptive re-ranking: which queries to leave as they are, learned from a validation set."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from commons.errors import ArgumentError, first_line
from commons.files import write_text
from metrics.calibration import Calibration, fit_calibration, from_record
from metrics.confidence import pa_score
from reports.predictions_table import KEPT
from tasks.measuring import Evaluation
from tasks.signals import margins

FEATURES = ("log inliers", "margin", "PA-score")
FILE = "reranking.json"


@dataclass(frozen=True)
class Gate:
    """Skips queries whose first prediction is probably right.

    Attributes:
        model: the probability that the first prediction is right before re-ranking, from its inliers, the margin and
            the PA-score.
        threshold: queries with this probability or more are skipped.
        matcher: matcher whose inliers it was fitted to.
    """

    model: Calibration
    threshold: float
    matcher: str

    def skips(self, scores: np.ndarray) -> np.ndarray:
        """Returns which queries to skip by their `gate_scores`, bool (q,)."""
        return scores >= self.threshold

    def record(self) -> dict[str, Any]:
        """Returns what a JSON file holds of it."""
        # JSON has no infinity; no probability is above 1.
        return {"matcher": self.matcher, "threshold": min(self.threshold, 2.0), "model": self.model.record()}

    def save(self, file: Path) -> None:
        """Writes the gate for --rerank_when FILE."""
        write_text(file, json.dumps(self.record(), indent=2) + "\n")


def read_gate(file: Path, matcher: str) -> Gate:
    """Reads a gate.

    Raises:
        ArgumentError: if the file holds none, or one that was fitted to another matcher.
    """
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        gate = Gate(from_record(record["model"]), float(record["threshold"]), str(record["matcher"]))
        if set(gate.model.names) != set(FEATURES):
            raise ValueError("other features")
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = first_line(error)
        raise ArgumentError(
            "rerank_when", f"{file}: is not the {FILE} of a run with `rerank_when` auto ({why})"
        ) from error
    if gate.matcher != matcher:
        raise ArgumentError("rerank_when", f"{file}: was fitted to `rerank` {gate.matcher}, not {matcher}")
    return gate


def gate_features(evaluation: Evaluation, inliers: np.ndarray) -> Mapping[str, np.ndarray]:
    """Returns what a gate looks at.

    Args:
        evaluation: before re-ranking.
        inliers: inliers of the first prediction, (q,).
    """
    similarities = evaluation.similarities[:, :KEPT]
    return dict(zip(FEATURES, (np.log1p(inliers), margins(evaluation), pa_score(similarities)), strict=True))


def gate_scores(gate: Gate, evaluation: Evaluation, inliers: np.ndarray) -> np.ndarray:
    """Returns the probability that the first prediction is right before re-ranking, (q,)."""
    return gate.model.probability(gate_features(evaluation, inliers))


def fit_gate(evaluation: Evaluation, inliers: np.ndarray, reranked: Evaluation, matcher: str) -> Gate:
    """Fits a gate to a validation set.

    See `best_threshold`. Where re-ranking changes nothing or only does harm, all queries are skipped.

    Args:
        evaluation: before re-ranking.
        inliers: inliers of all first K predictions, (q, K).
        reranked: after re-ranking all queries.
        matcher: its name.
    """
    before, after = first_right(evaluation), first_right(reranked)
    features = gate_features(evaluation, inliers[:, 0])
    model = fit_calibration(features, before, FEATURES)
    scores = model.probability(features)
    threshold = best_threshold(scores, before, after)
    share = 100 * float((scores >= threshold).mean())
    logging.info(f"Adaptive re-ranking: the threshold chosen on a validation set skips {share:.0f} % of its queries")
    return Gate(model, threshold, matcher)


def best_threshold(scores: np.ndarray, before: np.ndarray, after: np.ndarray) -> float:
    """Returns the threshold with the largest gain that is certain.

    Skipping H queries that re-ranking would put wrong and L that it would put right gains H - L right first
    predictions, with a standard error of sqrt(H + L). The threshold has the largest H - L - sqrt(H + L); of several it
    is the one that skips most queries.

    Args:
        scores: queries with a score of the threshold or more are skipped, (q,).
        before, after: whether the first prediction is right without and with re-ranking, bool (q,).

    Returns:
        One of the scores, or inf where no query is to be skipped.
    """
    levels, where = np.unique(scores, return_inverse=True)
    harmed, helped = (
        np.append(np.cumsum(np.bincount(where, changed, len(levels))[::-1])[::-1], 0.0)  # by the threshold
        for changed in (before & ~after, after & ~before)
    )
    certain = harmed - helped - np.sqrt(harmed + helped)
    return float(np.append(levels, np.inf)[certain.argmax()])


def first_right(evaluation: Evaluation) -> np.ndarray:
    """Returns whether the first prediction of each query is right, bool (q,)."""
    return evaluation.correct[:, 0]
