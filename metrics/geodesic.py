"""Metrics of predicted positions: distances on the earth, shares within radii, GeoScore, accuracies of labels.

Distances are kilometres, (n,); NaN stands for a photo without an answer, such as an unreadable file. Such a photo
counts as infinitely far in the shares and as 0 points in GeoScore. It is left out of mean and median, and counted.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.spatial import cKDTree

from commons.errors import ArgumentError
from commons.sphere import haversine_km, unit_vectors
from metrics.metric import Metric

RADII_KM = (1.0, 25.0, 200.0, 750.0, 2500.0)  # street, city, region, country, continent
GEOSCORE_BEST, GEOSCORE_SCALE_KM = 5000.0, 1492.7
EARTHS = ("sphere", "wgs84")
MEAN, MEDIAN, GEOSCORE, UNANSWERED = "mean km", "median km", "GeoScore", "unanswered"
LOWER_IS_BETTER = (MEAN, MEDIAN, UNANSWERED)


def distances_km(
    latitude: np.ndarray,
    longitude: np.ndarray,
    true_latitude: np.ndarray,
    true_longitude: np.ndarray,
    earth: str = "sphere",
) -> np.ndarray:
    """Returns the distances in kilometres between predictions and the truth, (n,).

    Args:
        latitude, longitude: predictions in degrees, (n,), NaN where there is none.
        true_latitude, true_longitude: degrees, (n,).
        earth: "sphere" for great circles with R = 6371.0088 km, or "wgs84" for geodesics on the ellipsoid by pyproj
            (https://doi.org/10.1007/s00190-012-0578-z). They differ by at most 0.56 %.

    Raises:
        ArgumentError: if the earth is unknown.
    """
    if earth not in EARTHS:
        raise ArgumentError("earth", f"{earth} is unknown; choose from {', '.join(EARTHS)}")
    if earth == "sphere":
        return haversine_km(latitude, longitude, true_latitude, true_longitude)
    from pyproj import Geod

    columns = [np.asarray(column, np.float64) for column in (longitude, latitude, true_longitude, true_latitude)]
    known = np.isfinite(np.stack(columns)).all(axis=0)
    found = np.full(known.shape, np.nan)
    found[known] = Geod(ellps="WGS84").inv(*(column[known] for column in columns))[2] / 1000
    return found


def within(radius_km: float) -> str:
    """Returns the name of the share of photos within a radius, such as "within 25 km"."""
    return f"within {radius_km:g} km"


def shares_within(distances: np.ndarray, radii_km: Sequence[float] = RADII_KM) -> dict[str, float]:
    """Returns the share of all photos that are located within each radius, the radius included, in percent, by name."""
    near = np.sort(distances)  # NaN last
    counts = np.searchsorted(near, radii_km, side="right")
    return {within(r): 100 * int(count) / max(len(near), 1) for r, count in zip(radii_km, counts, strict=True)}


def geoscores(distances: np.ndarray) -> np.ndarray:
    """Returns the score of each photo, 5000 exp(-d / 1492.7 km), not rounded; 0 without an answer.

    This is the score of GeoGuessr's world map as OSV-5M reports it (https://arxiv.org/abs/2404.18873).
    """
    return np.nan_to_num(GEOSCORE_BEST * np.exp(-np.asarray(distances) / GEOSCORE_SCALE_KM), nan=0.0)


def geodesic_metrics(distances: np.ndarray, radii_km: Sequence[float] = RADII_KM) -> dict[str, float]:
    """Returns shares within radii (percent), mean and median distance (km), GeoScore, and the photos without answer.

    Mean and median are NaN if there is no answer at all.
    """
    answered = distances[~np.isnan(distances)]
    return {
        **shares_within(distances, radii_km),
        MEAN: float(answered.mean()) if len(answered) else float("nan"),
        MEDIAN: float(np.median(answered)) if len(answered) else float("nan"),
        GEOSCORE: float(geoscores(distances).mean()) if len(distances) else 0.0,
        UNANSWERED: float(len(distances) - len(answered)),
    }


def bootstrap_intervals(
    distances: np.ndarray,
    radii_km: Sequence[float] = RADII_KM,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Returns percentile bootstrap intervals of `geodesic_metrics`, by name.

    Photos are drawn with replacement (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3).

    Args:
        distances: kilometres, (n,), NaN where there is no answer.
        radii_km: as for `geodesic_metrics`.
        draws: number of samples; each takes O(n).
        level: probability that an interval covers.
        seed: seed of the draws.
    """
    ordered = np.sort(np.asarray(distances, np.float64))
    size, answered = len(ordered), int(np.isfinite(ordered).sum())
    near = [ordered <= radius for radius in radii_km]
    columns = np.stack([*near, geoscores(ordered), np.nan_to_num(ordered)], axis=1).astype(np.float64)
    generator, found = np.random.default_rng(seed), []
    for _ in range(draws if size else 0):
        # How often each photo is drawn; all figures but the median are weighted means.
        times = np.bincount(generator.integers(0, size, size), minlength=size)
        sums, drawn = times @ columns, np.cumsum(times[:answered])
        total = int(drawn[-1]) if answered else 0
        middle = np.searchsorted(drawn, [(total - 1) // 2, total // 2], side="right") if total else []
        median = ordered[middle].mean() if total else np.nan
        found.append([*100 * sums[:-2] / size, sums[-2] / size, sums[-1] / total if total else np.nan, median])
    names = [*map(within, radii_km), GEOSCORE, MEAN, MEDIAN]
    if not answered:
        return dict.fromkeys(names, (float("nan"), float("nan")))
    low, high = np.nanpercentile(found, [50 * (1 - level), 50 * (1 + level)], axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(names)}


def oracle_distances(
    latitude: np.ndarray,
    longitude: np.ndarray,
    cells: np.ndarray,
    cell_latitude: np.ndarray,
    cell_longitude: np.ndarray,
) -> np.ndarray:
    """Returns the distances in kilometres of a perfect classifier: from each photo to the point of its own cell.

    They bound what any classifier over these cells reaches.

    Args:
        latitude, longitude: of the photos in degrees, (n,).
        cells: the cell of each photo, int (n,), -1 for none; its distance is NaN.
        cell_latitude, cell_longitude: the points that cells answer, degrees (K,).
    """
    rows = np.maximum(cells, 0)
    found = haversine_km(cell_latitude[rows], cell_longitude[rows], latitude, longitude)
    return np.where(cells >= 0, found, np.nan)


def cell_accuracies(ranked: np.ndarray, true_cells: np.ndarray, values: Sequence[int] = (1, 5)) -> dict[str, float]:
    """Returns the share of photos whose cell is among the k most probable ones, in percent, as "cell top-k".

    Args:
        ranked: cells, most probable first, int (n, at least max(values)) or fewer columns if there are fewer cells.
        true_cells: int (n,), -1 for a photo in no cell, which counts as wrong.
        values: the k.
    """
    hits = (ranked == true_cells[:, None]) & (true_cells >= 0)[:, None]
    return {f"cell top-{k}": 100 * float(hits[:, :k].any(axis=1).sum()) / max(len(hits), 1) for k in values}


def label_accuracies(
    predicted: Mapping[str, np.ndarray], true: Mapping[str, np.ndarray]
) -> dict[str, tuple[float, int]]:
    """Returns for each kind of label, such as country, region and city, the share of right ones and their number.

    Args:
        predicted: labels of the predicted positions by kind, str (n,); "" is never right.
        true: labels of the photos by kind, str (n,); photos with "" or None are left out.

    Returns:
        Percent of the photos that have a label, NaN if there is none, and how many photos have one.
    """
    found = {}
    for kind in [kind for kind in true if kind in predicted]:
        labels = np.asarray(true[kind], dtype=object)
        known = np.array([label is not None and label == label and label != "" for label in labels], bool)
        right = (np.asarray(predicted[kind], dtype=object) == labels)[known]
        found[kind] = (100 * float(right.mean()) if len(right) else float("nan"), int(known.sum()))
    return found


def nearest_references(
    latitude: np.ndarray, longitude: np.ndarray, reference_latitude: np.ndarray, reference_longitude: np.ndarray
) -> np.ndarray:
    """Returns the nearest reference of each point, int64 (n,), such as a town whose labels it takes; -1 for NaN.

    OSV-5M finds the country and region of a predicted position like this, from a table of towns.
    """
    known = np.isfinite(latitude) & np.isfinite(longitude)
    rows = np.full(len(latitude), -1)
    tree = cKDTree(unit_vectors(reference_latitude, reference_longitude))
    rows[known] = tree.query(unit_vectors(latitude[known], longitude[known]))[1]
    return rows


def metric_named(name: str, radii_km: Sequence[float] = RADII_KM) -> Metric:
    """Returns the metric of a name such as "within 25 km", "median km" or "cell top-1".

    Raises:
        ArgumentError: if there is no such metric.
    """
    known = [*map(within, radii_km), GEOSCORE, MEDIAN, MEAN, "cell top-1", "cell top-5"]
    if name not in known:
        raise ArgumentError("main_metric", f"{name} is unknown; choose from {', '.join(known)}")
    return Metric(name, higher_is_better=name not in LOWER_IS_BETTER)
