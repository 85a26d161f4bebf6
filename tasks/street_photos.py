"""Descriptors of street photos."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from datasets.decoding import ImageFiles
from datasets.letterbox import letterbox_of
from datasets.places import Places
from datasets.test_dataset import image_batches
from model.two_towers import TwoTowers
from retrieval.descriptors import extract


def extract_photos(
    network: TwoTowers,
    images: Places | ImageFiles,
    config: Mapping[str, Any],
    *,
    batch_size: int = 16,
    precision: str = "fp32",
    num_workers: int = 0,
) -> np.ndarray:
    """Extracts the descriptors of street photos, letter-boxed to the `image_size` of the network's configuration.

    Args:
        network: the towers, on their device; are switched to evaluation mode.
        images: which photos, or how to read them.
        config: configuration of the network.
        batch_size: photos in a batch.
        precision: "fp32", "bf16" or "fp16".
        num_workers: threads that read.

    Returns:
        Descriptors of unit length, float32 (n, d); NaN for photos that cannot be decoded, which are logged.

    Raises:
        PlacewiseError: if more than one photo and more than 1 % of them cannot be decoded.
    """
    source = images if isinstance(images, ImageFiles) else ImageFiles(images, letterbox_of(config["image_size"]))
    device = next(network.parameters()).device
    found = np.full((len(source.places), network.descriptor_dim), np.nan, np.float32)
    batches = image_batches(source, batch_size, num_workers, torch.device(device))
    for rows, descriptors in extract(network, batches, device, precision):
        found[rows] = descriptors
    return found
