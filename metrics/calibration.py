"""From measures of confidence to the probability that a prediction is right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

BINS = 10


@dataclass(frozen=True)
class Calibration:
    """A logistic regression: p = 1 / (1 + exp(-(intercept + sum_i weight_i (x_i - mean_i) / scale_i))).

    Attributes:
        names: names of the measures x_i.
        means, scales, weights: one number for each.
        intercept: as in the formula.
    """

    names: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def probability(self, measures: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns the probability that each prediction is right, float64 (q,).

        Args:
            measures: (q,) each, by name. Unknown values count as the mean of those it was fitted to.
        """
        values = _columns(measures, self.names)
        values = np.nan_to_num((values - self.means) / self.scales, nan=0.0, posinf=0.0, neginf=0.0)
        return 1 / (1 + np.exp(-(self.intercept + values @ np.array(self.weights))))

    def record(self) -> dict[str, Any]:
        """Returns what a JSON file holds of it."""
        return {name: list(own) if isinstance(own, tuple) else own for name, own in vars(self).items()}


def from_record(record: Mapping[str, Any]) -> Calibration:
    """Returns a calibration from its record.

    Raises:
        KeyError, TypeError, ValueError: if it is damaged.
    """
    names = tuple(map(str, record["names"]))
    numbers = [tuple(map(float, record[name])) for name in ("means", "scales", "weights")]
    if any(len(own) != len(names) for own in numbers):
        raise ValueError("not one number for each measure")
    return Calibration(names, *numbers, float(record["intercept"]))


def fit_calibration(measures: Mapping[str, np.ndarray], correct: np.ndarray, names: Sequence[str]) -> Calibration:
    """Fits the probability of a right prediction, by scikit-learn's LogisticRegression on standardized measures.

    Where all predictions are right, or all are wrong, every probability is (right + 1) / (all + 2).

    Args:
        measures: (q,) each, by name.
        correct: bool (q,).
        names: the measures to use.
    """
    values = _columns(measures, names)
    known = np.where(np.isfinite(values), values, np.nan)
    counts = np.isfinite(values).sum(axis=0)
    means = np.nansum(known, axis=0) / np.maximum(counts, 1)
    values = np.where(np.isfinite(values), values, means)
    scales = values.std(axis=0) if len(values) else np.zeros(len(names))
    scales = np.where(scales > 0, scales, 1.0)
    if len(set(correct.tolist())) < 2:
        share = (int(correct.sum()) + 1) / (len(correct) + 2)
        weights, intercept = np.zeros(len(names)), float(np.log(share / (1 - share)))
    else:
        from sklearn.linear_model import LogisticRegression  # takes a second to import

        model = LogisticRegression(max_iter=1000).fit((values - means) / scales, correct)
        weights, intercept = model.coef_[0], float(model.intercept_[0])
    return Calibration(tuple(names), *(tuple(map(float, own)) for own in (means, scales, weights)), intercept)


def calibration_figures(probability: np.ndarray, correct: np.ndarray) -> dict[str, float]:
    """Returns the Brier score, mean (p - right)^2, and the expected calibration error.

    The error is the mean over BINS bins of equal width, weighted by their queries, of |mean p - share of right ones|.
    """
    if not len(correct):
        return {}
    where = np.minimum((probability * BINS).astype(int), BINS - 1)
    gaps = [abs(float((probability - correct)[where == number].sum())) for number in range(BINS)]
    return {"brier": float(((probability - correct) ** 2).mean()), "ece": sum(gaps) / len(correct)}


def _columns(measures: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    return np.stack([np.asarray(measures[name], np.float64) for name in names], axis=1)
