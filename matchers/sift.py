"""SIFT of OpenCV."""

import cv2
import numpy as np

from matchers.matcher import Keypoints, Matcher, no_keypoints
from matchers.verification import mutual_matches, squared_distances


class Sift(Matcher):
    """SIFT (https://doi.org/10.1023/B:VISI.0000029664.99615.94) with the square roots of RootSIFT
    (https://doi.org/10.1109/CVPR.2012.6248018), mutual nearest neighbours with ratio test. No download, no GPU.
    """

    def __init__(self, device: object = None, *, keypoints: int = 1024, ratio: float = 0.8) -> None:
        """Args:
        device: has no effect.
        keypoints: the most keypoints of an image, those of the highest contrast.
        ratio: a match must be nearer than this times the second nearest; 1 for no test.
        """
        self.keypoints, self.ratio = keypoints, ratio
        self.features = f"sift {keypoints}, OpenCV {cv2.__version__}"

    def extract(self, image: np.ndarray) -> Keypoints:
        """Returns keypoints with uint8 descriptors of 128 dimensions."""
        height, width = image.shape[:2]
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        # Made for each image: an instance is not safe to share between threads.
        found, descriptors = cv2.SIFT_create(self.keypoints).detectAndCompute(grey, None)
        if descriptors is None:
            return no_keypoints(width, height)
        points = cv2.KeyPoint_convert(found)[: self.keypoints]  # equal contrasts exceed the number
        descriptors = descriptors[: self.keypoints].astype(np.uint8)  # whole numbers in float32
        return Keypoints(points, descriptors, np.array([width, height], np.int32))

    def match(self, first: Keypoints, second: Keypoints) -> np.ndarray:
        """Returns matching rows."""
        distances = squared_distances(root(first.descriptors), root(second.descriptors))
        return mutual_matches(distances, self.ratio**2)


def root(descriptors: np.ndarray) -> np.ndarray:
    """Returns RootSIFT: the square roots of descriptors that sum to 1, float32 (n, 128) of unit length."""
    values = descriptors.astype(np.float32)
    return np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1))
