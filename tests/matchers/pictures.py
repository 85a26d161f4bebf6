"""A textured scene and views of it, for tests of matchers."""

import cv2
import numpy as np

from matchers.matcher import Matcher, no_keypoints


def scene(seed: int = 0, side: int = 240) -> np.ndarray:
    """Returns blobs of many sizes, uint8 (side, side, 3)."""
    draw = np.random.default_rng(seed)
    image = np.full((side, side, 3), 128, np.uint8)
    for _ in range(300):
        corner, size = draw.integers(0, side, 2), draw.integers(3, 25, 2)
        colour = draw.integers(0, 256, 3).tolist()
        cv2.rectangle(image, corner.tolist(), (corner + size).tolist(), colour, -1)
    return image


def view(image: np.ndarray, shift: int = 12, turn: float = 5.0) -> np.ndarray:
    """Returns the image turned by degrees, slightly enlarged and shifted, with noise."""
    height, width = image.shape[:2]
    movement = cv2.getRotationMatrix2D((width / 2, height / 2), turn, 1.05)
    movement[:, 2] += shift
    moved = cv2.warpAffine(image, movement, (width, height), borderMode=cv2.BORDER_REFLECT)
    noise = np.random.default_rng(1).normal(0, 4, moved.shape)
    return np.clip(moved + noise, 0, 255).astype(np.uint8)


def check_matcher(matcher: Matcher, least: int = 40) -> None:
    """Checks what every matcher must do."""
    from matchers.verification import verified

    first, second = matcher.extract(scene()), matcher.extract(view(scene()))
    other = matcher.extract(scene(7))
    assert first.points.dtype == np.float32 and first.points.shape == (len(first.descriptors), 2)
    assert first.size.tolist() == [240, 240]
    assert (first.points >= 0).all() and (first.points < 240).all()
    points = verified(matcher, first, second)
    assert points[0].shape == points[1].shape and len(points[0]) >= least
    movement = cv2.getRotationMatrix2D((120, 120), 5, 1.05)
    movement[:, 2] += 12
    expected = points[0] @ movement[:, :2].T + movement[:, 2]
    assert np.median(np.linalg.norm(expected - points[1], axis=1)) < 1.5
    assert len(verified(matcher, first, other)[0]) < len(points[0]) / 2
    again = verified(matcher, first, second)
    assert np.array_equal(points[0], again[0]) and np.array_equal(points[1], again[1])

    flat = matcher.extract(np.full((40, 50, 3), 90, np.uint8))
    assert len(verified(matcher, first, flat)[0]) == len(verified(matcher, flat, first)[0]) == 0
    assert len(verified(matcher, no_keypoints(), first)[0]) == 0
    for size in ((16, 16), (16, 400), (400, 17)):
        assert len(matcher.extract(np.resize(scene(), (*size, 3))).points) >= 0  # nothing is raised
