"""Exports networks to other formats: python -m tools.export best_model.pth --format onnx|torchscript|safetensors"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from commons.errors import PlacewiseError, UsageError, run
from commons.logging import setup_logging
from datasets.decoding import ImageFiles
from datasets.reading import read_places
from datasets.test_dataset import image_batches
from flags.tools import ExportSettings, parse_export_settings
from model.export import export_int8, export_network
from tasks.networks import choose_shorter_side
from tasks.task import task_of

CALIBRATION_IMAGES = 128


def main(settings: ExportSettings | None = None) -> None:
    """Entry point."""
    settings = settings or parse_export_settings()
    setup_logging(quiet=True)
    task = task_of([settings.checkpoint])
    network, config = task.load_network(settings.checkpoint)
    if not hasattr(network, "features") and not task.parts(network):
        raise PlacewiseError(
            f"{settings.checkpoint}: networks of the task {task.name} take no images and cannot be exported"
        )
    config = config | {"task": task.name}
    network = chosen_part(task.parts(network), settings) or network
    path = Path(settings.output)
    if settings.int8:
        images = _calibration_images(settings.calibration_folder, config)
        share, cosine = export_int8(network, config, images, path)
        check = f"{share:.0%} of the size in fp32, mean cosine with its descriptors {cosine:.3f}"
    else:
        difference = export_network(network, config, settings.format, path)
        check = "weights and configuration" if difference is None else f"largest difference {difference:.1g}"
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {network.descriptor_dim} dimensions, {check}")


def chosen_part(parts: Mapping[str, nn.Module], settings: ExportSettings) -> nn.Module | None:
    """Returns the part of a network to export; None for the whole network.

    Raises:
        UsageError: if there is no such part, or the format needs one and none is given.
    """
    names = " or ".join(parts)
    if settings.part is not None and settings.part not in parts:
        found = f"has the parts {names}" if parts else "has no parts"
        raise UsageError(f"--part {settings.part}: the network of {settings.checkpoint} {found}")
    if settings.part is None and parts and settings.format != "safetensors":
        raise UsageError(f"--format {settings.format}: the network has several parts; choose with --part {names}")
    return None if settings.part is None else parts[settings.part]


def _calibration_images(folder: str, config: Mapping[str, Any]) -> list[torch.Tensor]:
    """Returns batches of evenly spaced images of a folder, in the size of test images."""
    places = read_places(Path(folder), positions=False)
    few = places.take(np.linspace(0, len(places) - 1, min(len(places), CALIBRATION_IMAGES)).astype(int))
    size = choose_shorter_side(None, None, {"": config})
    return [images for _, images in image_batches(ImageFiles(few, size), 8, 2)]


if __name__ == "__main__":
    run(main)
