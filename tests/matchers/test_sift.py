import cv2
import numpy as np

from matchers.sift import Sift, root
from matchers.verification import mutual_matches
from tests.matchers.pictures import check_matcher, scene, view


def test_it_finds_the_movement_of_the_camera():
    check_matcher(Sift())


def test_keypoints_are_those_of_opencv_and_at_most_as_many_as_asked_for():
    grey = cv2.cvtColor(scene(), cv2.COLOR_RGB2GRAY)
    points, descriptors = cv2.SIFT_create(1024).detectAndCompute(grey, None)
    found = Sift().extract(scene())
    assert np.array_equal(found.points, cv2.KeyPoint_convert(points))
    assert np.array_equal(found.descriptors, descriptors)  # whole numbers up to 255 lose nothing in uint8
    assert len(Sift(keypoints=50).extract(scene()).points) == 50


def test_matches_are_those_of_rootsift_with_a_ratio_of_distances():
    first, second = Sift(keypoints=60).extract(scene()), Sift(keypoints=60).extract(view(scene()))
    expected = []
    roots = [np.sqrt(own.descriptors / own.descriptors.sum(1, keepdims=True, dtype=float)) for own in (first, second)]
    distances = np.linalg.norm(roots[0][:, None] - roots[1], axis=2)
    for row in range(len(distances)):
        near, far = np.argsort(distances[row])[:2]
        back, behind = np.argsort(distances[:, near])[:2]
        mutual = back == row
        if mutual and distances[row, near] < 0.7 * min(distances[row, far], distances[behind, near]):
            expected.append([row, near])
    assert len(expected) > 5
    assert Sift(ratio=0.7).match(first, second).tolist() == expected
    assert mutual_matches(distances, 0.7).tolist() == expected


def test_root_of_nothing_is_nothing():
    assert root(np.array([[0, 0], [9, 16]], np.uint8)).tolist() == [[0, 0], [np.float32(0.6), np.float32(0.8)]]
