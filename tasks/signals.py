"""What an evaluation says about the confidence of each first prediction."""

import numpy as np

from datasets.distances import globe_coordinates, pair_distances, share_utm
from metrics.confidence import confidence_measures, spatial_uncertainty
from reports.predictions_table import KEPT, similarity_margins
from tasks.measuring import Evaluation


def from_first(evaluation: Evaluation) -> np.ndarray:
    """Returns the metres from each prediction to the first one, (q, k), inf where unknown."""
    database, found = evaluation.database, evaluation.predictions
    return pair_distances(database.take(found[:, 0]), database, found)


def margins(evaluation: Evaluation) -> np.ndarray:
    """Returns how far the first prediction is above the best one of another place, in cosine similarity, (q,)."""
    return similarity_margins(evaluation.similarities, from_first(evaluation), evaluation.threshold)


def uncertainties(evaluation: Evaluation) -> np.ndarray:
    """Returns the SUE of each query over its first KEPT predictions in metres, NaN without positions."""
    database = evaluation.database
    if not database.located.any():
        return np.full(len(evaluation.queries), np.nan)
    if share_utm(database):
        points = np.stack([database.utm_east, database.utm_north], axis=1)
    else:
        points = globe_coordinates(database)
    positions = points[evaluation.predictions[:, :KEPT]]
    return spatial_uncertainty(evaluation.similarities[:, :KEPT], positions)


def measures_of(evaluation: Evaluation, probability: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Returns all measures of confidence by name, (q,) each."""
    first = None if evaluation.inliers is None else evaluation.inliers[:, 0]
    similarities = evaluation.similarities[:, :KEPT]
    return confidence_measures(similarities, uncertainties(evaluation), margins(evaluation), first, probability)
