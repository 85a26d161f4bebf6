"""Attention of a network in a photo."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from commons.errors import ArgumentError
from datasets.decoding import Size, read_image
from model.attention import grad_cam, rollout
from model.cell_network import CellNet
from model.network import GeoLocalizationNet
from reports.geolocation.overlays import overlay_heat
from tasks.geo_reports import heat_map
from tasks.locating import Positions


def can_explain(network: nn.Module) -> bool:
    """Whether `attention` supports the network; ensembles and exported networks have no feature map."""
    return isinstance(network, (CellNet, GeoLocalizationNet))


def attention(network: nn.Module, pixels: torch.Tensor, found: Positions, shorter_side: Size) -> Image.Image:
    """Draws the attention of a network over a photo.

    Attention rollout for vision transformers. For others Grad-CAM of the best cell, or of the similarity with the best
    database image.

    Args:
        network: one of those of `can_explain`.
        pixels: uint8 (3, h, w).
        found: answers for this photo.
        shorter_side: shorter side of database images.

    Raises:
        OSError: if the best database image cannot be read.
    """
    network.eval()
    device = next(network.parameters()).device
    image = pixels[None].to(device)
    if isinstance(network, CellNet):
        heat = heat_map(network, image, int(found.cells[0, 0]))
    else:
        heat = _similarity_map(network, image, Path(found.names[0, 0]), shorter_side)
    return overlay_heat(Image.fromarray(pixels.permute(1, 2, 0).numpy()), heat)


def _similarity_map(network: GeoLocalizationNet, image: torch.Tensor, best: Path, shorter_side: Size) -> np.ndarray:
    """Returns (h', w')."""
    try:
        found = rollout(network.backbone, network.normalised(image), network.needs_class_token)
    except ArgumentError:
        with torch.inference_mode():
            target = network(read_image(best, shorter_side)[None].to(image.device)).float()
            features = network.features(image)
        target = target.clone()
        none = torch.zeros(1, dtype=torch.int64, device=image.device)
        found = grad_cam(features, lambda maps: network.aggregation(maps) @ target.T, none)
    return found[0].float().cpu().numpy()
