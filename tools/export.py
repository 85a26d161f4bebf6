"""Networks for other programs: python -m tools.export best_model.pth --format onnx|torchscript|safetensors"""

from pathlib import Path

import numpy as np
import torch

from commons.errors import run
from commons.logging import setup_logging
from model.export import export_int8, export_network
from model.pretrained import load_network

CALIBRATION_IMAGES = 128


def main() -> None:
    """Entry point."""
    # Flags and images come from outside this room.
    from flags.tools import parse_export_arguments

    args = parse_export_arguments()
    setup_logging(quiet=True)
    network, config = load_network(args.checkpoint)
    path = Path(args.output)
    if args.int8:
        share, cosine = export_int8(network, config, _calibration_images(args.calibration_folder, config), path)
        check = f"{share:.0%} of the size in fp32, mean cosine with its descriptors {cosine:.3f}"
    else:
        difference = export_network(network, config, args.format, path)
        check = "weights and configuration" if difference is None else f"largest difference {difference:.1g}"
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {network.descriptor_dim} dimensions, {check}")


def _calibration_images(folder: str, config: dict) -> list[torch.Tensor]:
    """Batches of images spread evenly over a folder, in the size that the network is tested with."""
    from datasets.decoding import ImageFiles
    from datasets.reading import read_places
    from datasets.test_dataset import image_batches
    from eval import choose_shorter_side

    places = read_places(Path(folder), positions=False)
    few = places.take(np.linspace(0, len(places) - 1, min(len(places), CALIBRATION_IMAGES)).astype(int))
    return [images for _, images in image_batches(ImageFiles(few, choose_shorter_side(None, None, {"": config})), 8, 2)]


if __name__ == "__main__":
    run(main)
