"""ORB of OpenCV."""

import cv2
import numpy as np

from matchers.matcher import Keypoints, Matcher, no_keypoints
from matchers.verification import mutual_matches


class Orb(Matcher):
    """ORB (https://doi.org/10.1109/ICCV.2011.6126544): 32 bytes per keypoint, Hamming distance, mutual nearest
    neighbours with ratio test. The fastest here. No download, no GPU.
    """

    def __init__(self, device: object = None, *, keypoints: int = 1024, ratio: float = 0.8) -> None:
        """Args:
        device: has no effect.
        keypoints: the most keypoints of an image, those with the highest response.
        ratio: a match must be nearer than this times the second nearest; 1 for no test.
        """
        self.keypoints, self.ratio = keypoints, ratio
        self.features = f"orb {keypoints}, OpenCV {cv2.__version__}"

    def extract(self, image: np.ndarray) -> Keypoints:
        """Returns keypoints with uint8 descriptors, 32 bytes of 8 bits."""
        height, width = image.shape[:2]
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        try:
            found, descriptors = cv2.ORB_create(self.keypoints).detectAndCompute(grey, None)
        except cv2.error:  # an image that is narrow: its pyramid has an empty level
            return no_keypoints(width, height)
        if descriptors is None:
            return no_keypoints(width, height)
        points = cv2.KeyPoint_convert(found)[: self.keypoints]
        return Keypoints(points, descriptors[: self.keypoints], np.array([width, height], np.int32))

    def match(self, first: Keypoints, second: Keypoints) -> np.ndarray:
        """Returns matching rows."""
        return mutual_matches(hamming(first.descriptors, second.descriptors), self.ratio)


def hamming(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the numbers of different bits, float32 (n, m), of uint8 (n, b) and (m, b)."""
    signs = [np.unpackbits(bits, axis=1).astype(np.float32) * 2 - 1 for bits in (first, second)]
    return (signs[0].shape[1] - signs[0] @ signs[1].T) / 2
