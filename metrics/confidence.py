"""How far the first prediction of a query can be trusted, and how well such a measure tells right from wrong.

Every measure is higher for predictions that are more likely right.
"""

from collections.abc import Mapping

import numpy as np

SLOPE = 350.0
SEED = 0
AVERAGE_PRECISION, FULL_PRECISION = "AUC-PR", "R@100P"


def descriptor_distances(similarities: np.ndarray) -> np.ndarray:
    """Returns the Euclidean distances of unit descriptors with these cosine similarities."""
    return np.sqrt(np.maximum(2 - 2 * np.asarray(similarities, np.float64), 0))


def l2_confidence(similarities: np.ndarray) -> np.ndarray:
    """Returns minus the descriptor distance of the first prediction.

    Args:
        similarities: cosines of the predictions, best first, (q, k).
    """
    return -descriptor_distances(similarities[:, 0])


def pa_score(similarities: np.ndarray) -> np.ndarray:
    """Returns minus the perceptual aliasing score d1 / d2, from -1 to 0.

    d1 is the descriptor distance of the first prediction and d2 the smallest of the others. It is below -1 where
    re-ranking has put another prediction first than the nearest one.

    Args:
        similarities: cosines of the predictions, best first, (q, k). With one prediction, all queries get 0.
    """
    distances = descriptor_distances(similarities)
    if distances.shape[1] < 2:
        return np.zeros(len(distances))
    first, second = distances[:, 0], distances[:, 1:].min(axis=1)
    equal = second == 0  # two predictions of the query's own descriptor
    return -np.where(equal, 1.0 + first, first / np.where(equal, 1, second))


def spatial_uncertainty(similarities: np.ndarray, positions: np.ndarray, slope: float = SLOPE) -> np.ndarray:
    """Returns the spatial uncertainty estimate SUE (https://arxiv.org/abs/2404.00546) in metres.

        w_i = softmax(-slope d_i), mean = sum w_i p_i, SUE = sqrt(sum w_i |p_i - mean|^2)

    The softmax is computed from differences to the smallest distance, so it does not underflow.

    Args:
        similarities: cosines of the predictions, (q, k).
        positions: positions of the predictions in metres, (q, k, 2 or 3), NaN where unknown.
        slope: slope of the weights.

    Returns:
        (q,); NaN where no prediction has a position.
    """
    known = np.isfinite(positions).all(axis=2)
    distances = np.where(known, descriptor_distances(similarities), np.inf)
    least = distances.min(axis=1, initial=np.inf)
    logits = -slope * (distances - np.where(np.isfinite(least), least, 0)[:, None])
    weights = np.exp(logits)
    total = weights.sum(axis=1)
    weights = weights / np.where(total > 0, total, 1)[:, None]
    points = np.where(known[:, :, None], positions, 0)
    offsets = np.where(known[:, :, None], points - _first_known(points, known), 0)  # UTM in float64 loses digits
    mean = (weights[:, :, None] * offsets).sum(axis=1)
    variance = (weights * ((offsets - mean[:, None]) ** 2).sum(axis=2)).sum(axis=1)
    return np.where(known.any(axis=1), np.sqrt(variance), np.nan)


def _first_known(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.take_along_axis(points, known.argmax(axis=1)[:, None, None], axis=1)


def confidence_measures(
    similarities: np.ndarray,
    sue: np.ndarray,
    margin: np.ndarray,
    inliers: np.ndarray | None = None,
    probability: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Returns all measures by name, (q,) each, without those that are unknown.

    Args:
        similarities: cosines of the predictions, best first, (q, k).
        sue: metres, (q,), NaN where unknown.
        margin: margin in cosine similarity, (q,).
        inliers: inliers of the first prediction, (q,), below 0 where unknown; None without re-ranking.
        probability: calibrated, (q,); None where nothing was calibrated.
    """
    measures = {"L2": l2_confidence(similarities), "PA-score": pa_score(similarities)}
    if np.isfinite(sue).any():
        measures["SUE"] = np.where(np.isfinite(sue), -sue, -np.inf)
    measures["margin"] = np.asarray(margin, np.float64)
    if inliers is not None and len(inliers) and (inliers >= 0).all():
        measures["inliers"] = inliers.astype(np.float64)
    if probability is not None and np.isfinite(probability).all():
        measures["probability"] = probability
    measures["random"] = np.random.default_rng(SEED).random(len(similarities))
    return measures


def precision_and_recall(correct: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns precision and recall of "the first prediction is right" at every threshold of a confidence.

    Queries of equal confidence are accepted together.

    Args:
        correct: bool (q,), whether the first prediction is right; at least one is.
        confidence: (q,).

    Returns:
        Both in ascending order of the threshold, ending at precision 1 and recall 0.
    """
    from sklearn.metrics import precision_recall_curve  # takes a second to import

    precision, recall, _ = precision_recall_curve(correct, _finite(confidence))
    return precision, recall


def confidence_figures(correct: np.ndarray, measures: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Returns the area under the precision-recall curve and the recall at 100 % precision of each measure, in percent.

    The area is the average precision, sum over thresholds of (R_n - R_{n-1}) P_n. Recall is over the queries with a
    right first prediction. Nothing is returned where no first prediction is right.
    """
    if not correct.any():
        return {}
    from sklearn.metrics import average_precision_score  # takes a second to import

    figures = {}
    for name, confidence in measures.items():
        precision, recall = precision_and_recall(correct, confidence)
        area = average_precision_score(correct, _finite(confidence))
        figures[name] = {
            AVERAGE_PRECISION: 100 * float(area),
            FULL_PRECISION: 100 * float(recall[precision == 1].max(initial=0)),
        }
    return figures


def _finite(confidence: np.ndarray) -> np.ndarray:
    least = np.finfo(np.float64).min
    return np.nan_to_num(np.asarray(confidence, np.float64), nan=least, neginf=least)
