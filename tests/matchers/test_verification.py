import cv2
import numpy as np
import pytest

from matchers import verification
from matchers.verification import geometric_inliers, mutual_matches, squared_distances


def test_mutual_matches_by_hand():
    distances = np.array([[1.0, 4, 9], [2, 3, 9], [5, 3.5, 9]], np.float32)
    # Row 0 and column 0 prefer each other; row 1 prefers column 0, column 1 prefers row 1.
    assert mutual_matches(distances).tolist() == [[0, 0]]
    assert mutual_matches(distances, ratio=0.51).tolist() == [[0, 0]]  # the second nearest is at 2, in the column
    assert mutual_matches(distances, ratio=0.5).tolist() == []  # 1 is not below 0.5 * 2
    assert mutual_matches(distances.T, ratio=0.5).tolist() == []
    assert mutual_matches(distances, most=0.9).tolist() == []
    assert mutual_matches(distances, most=1.0).tolist() == [[0, 0]]


def test_matches_do_not_depend_on_which_image_comes_first():
    distances = np.random.default_rng(0).random((40, 30))
    for ratio in (0.7, 1.0):
        found = mutual_matches(distances, ratio)
        assert len(found) > 0
        assert sorted(map(tuple, mutual_matches(distances.T, ratio)[:, ::-1])) == sorted(map(tuple, found))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_match(shape: tuple[int, int]):
    assert mutual_matches(np.zeros(shape), 0.8).shape == (0, 2)


def test_single_keypoints_have_no_rival():
    assert mutual_matches(np.array([[0.3]]), 0.8).tolist() == [[0, 0]]


def test_two_equal_descriptors_are_ambiguous():
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1]]
    assert mutual_matches(squared_distances(vectors[:1], vectors), 0.8).tolist() == []
    assert squared_distances(vectors, vectors).tolist() == [[0, 0, 2], [0, 0, 2], [2, 2, 0]]


def views(count: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns points of a scene in depth as two cameras see them."""
    draw = np.random.default_rng(seed)
    points = draw.uniform([-2, -2, 4], [2, 2, 9], (count, 3))
    turn, _ = cv2.Rodrigues(np.array([0.02, 0.1, 0.01]))
    moved = points @ turn.T + [0.5, 0.1, 0.2]
    return tuple(300 * own[:, :2] / own[:, 2:] + 160 for own in (points, moved))


def test_inliers_are_the_points_of_one_rigid_scene():
    first, second = views()
    second[40:] = np.random.default_rng(3).uniform(0, 320, (20, 2))
    found = geometric_inliers(first, second)
    assert found[:40].all() and found[40:].sum() <= 4  # some lie on their epipolar line by chance
    assert np.array_equal(found, geometric_inliers(first, second))


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((0, 2)),
        np.random.default_rng(0).random((7, 2)) * 100,
        np.ones((20, 2)),
        np.stack([np.arange(20.0)] * 2, axis=1),
        np.full((20, 2), np.nan),
        np.repeat(np.random.default_rng(0).random((2, 2)), 10, axis=0),
    ],
    ids=["none", "too few", "one point", "a line", "no numbers", "two points"],
)
def test_degenerate_points_raise_nothing(points: np.ndarray):
    other = np.random.default_rng(1).random(points.shape) * 300
    for pair in ((points, points), (points, other), (other, points)):
        found = geometric_inliers(*pair)
        assert found.shape == (len(points),) and found.dtype == bool
    if len(points) < 8:
        assert not found.any()


def test_an_error_of_opencv_is_no_match(monkeypatch: pytest.MonkeyPatch):
    def failing(*arguments: object) -> None:
        raise cv2.error("degenerate")

    monkeypatch.setattr(verification.cv2, "findFundamentalMat", failing)
    assert not geometric_inliers(*views()).any()
    for answer in (None, np.zeros((0, 1), np.uint8), np.ones((7, 1), np.uint8)):
        monkeypatch.setattr(verification.cv2, "findFundamentalMat", lambda *arguments, answer=answer: (None, answer))
        assert not geometric_inliers(*views()).any()
