"""Matches of local features: mutual nearest neighbours, the ratio test, and the epipolar geometry of two views."""

import cv2
import numpy as np

from matchers.matcher import Keypoints, Matcher

# With eight matches a fundamental matrix is overdetermined; fewer fit one whatever the images show.
LEAST = 8
PIXELS = 1.5
CONFIDENCE, ITERATIONS = 0.999, 2000


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the squared Euclidean distances of unit vectors (n, d) and (m, d), float32 (n, m)."""
    return np.maximum(2 - 2 * (first @ second.T), 0)


def mutual_matches(distances: np.ndarray, ratio: float = 1.0, most: float = np.inf) -> np.ndarray:
    """Returns the pairs that are each other's nearest neighbours and clearly nearer than the second nearest.

    The ratio test (Lowe, https://doi.org/10.1023/B:VISI.0000029664.99615.94) is applied in both directions, so the
    matches do not depend on which image comes first.

    Args:
        distances: float (n, m).
        ratio: a pair must be nearer than this times the second nearest neighbour of either; 1 for no test.
        most: the largest distance of a pair.

    Returns:
        Rows of both, int64 (k, 2), ascending in the first.
    """
    if 0 in distances.shape:
        return np.zeros((0, 2), np.int64)
    nearest, back = distances.argmin(axis=1), distances.argmin(axis=0)
    first = np.flatnonzero(back[nearest] == np.arange(len(distances)))
    second = nearest[first]
    own = distances[first, second]
    kept = own <= most
    if ratio < 1:
        rivals = [(distances[first], second), (distances[:, second].T, first)]
        for others, partner in rivals:
            others = np.array(others)  # a copy
            others[np.arange(len(others)), partner] = np.inf
            kept &= own < ratio * others.min(axis=1)
    return np.stack([first[kept], second[kept]], axis=1)


def geometric_inliers(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns which matches agree with one fundamental matrix, found by MAGSAC (https://arxiv.org/abs/1912.05909).

    Args:
        first, second: matching points in pixels, (m, 2).

    Returns:
        bool (m,); all False where the points determine no matrix.
    """
    none = np.zeros(len(first), bool)
    if len(first) < LEAST:
        return none
    first, second = (np.ascontiguousarray(points, np.float32) for points in (first, second))
    try:
        _, mask = cv2.findFundamentalMat(first, second, cv2.USAC_MAGSAC, PIXELS, CONFIDENCE, ITERATIONS)
    except cv2.error:  # some degenerate sets of points, depending on the version of OpenCV
        return none
    if mask is None or mask.size != len(first) or mask.sum() < LEAST:
        return none
    return mask.ravel().astype(bool)


def verified(matcher: Matcher, first: Keypoints, second: Keypoints) -> tuple[np.ndarray, np.ndarray]:
    """Returns the points of the inliers in both images, float32 (n, 2) each; a pair that does not match has none."""
    if not len(first.points) or not len(second.points):
        return first.points[:0], second.points[:0]
    matches = matcher.match(first, second)
    points = first.points[matches[:, 0]], second.points[matches[:, 1]]
    kept = geometric_inliers(*points)
    return points[0][kept], points[1][kept]
