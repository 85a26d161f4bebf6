"""Speed of training and extraction on a GPU, and the part that limits it: python -m benchmarks.gpu

Prints one row per network and image size: images/s from JPEG files of 512x512 to the optimizer step (training) or to
the descriptor (extraction), and of the network alone on a batch on the device, the loader alone, the loader with
`--loader dali` where that is installed, and the augmentation alone. The precision is that of --precision auto. Images
whose size is not a multiple of a network's patch size are resized by the network. Takes less than 8 minutes.
"""

import gc
import logging
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.common import machine, print_table, write_street_images
from benchmarks.parts import Setting, build_network, extraction_speeds, training_speeds
from commons import devices
from commons.errors import first_line

BACKBONES = ("ResNet18", "ResNet50", "timm:vit_small_patch14_dinov2")
SIZES, COMPILED_SIZES = (224, 320, 512), (512,)
BATCH_SIZE, SECONDS, IMAGES = 32, 1.5, 512
# In seconds; no row starts later. The first compiled rows take up to a minute each.
LATEST_START = 400.0
HEADER = (
    "network", "size", "compiled", "training", "of the network", "extraction", "of the network", "loader",
    "DALI loader", "augmentation", "memory, GB", "bound by",
)  # fmt: skip


def main() -> None:
    """Prints one table, or a message if there is no CUDA device."""
    if not torch.cuda.is_available():
        print("No usable CUDA device: nothing to measure.")
        return
    logging.disable(logging.WARNING)
    device, start = torch.device("cuda"), time.monotonic()
    precision, workers = devices.choose_precision("auto", device), min(8, os.cpu_count() or 1)
    print(f"{machine()}\n{precision}, batches of {BATCH_SIZE}, {workers} decoding processes, images/s\n")
    rows = [(backbone, size, False) for size in SIZES for backbone in BACKBONES]
    rows += [(backbone, size, True) for size in COMPILED_SIZES for backbone in BACKBONES]
    with TemporaryDirectory() as name:
        images = Path(name, "images")
        write_street_images(images, IMAGES, images_per_class=1)

        def measured(backbone: str, size: int, compiled: bool) -> list[object]:
            if time.monotonic() - start > LATEST_START:
                return [*named(backbone, size, compiled), "skipped: out of time"]
            setting = Setting(device, precision, size, BATCH_SIZE, workers, SECONDS)
            try:
                return row(backbone, compiled, images, setting)
            except RuntimeError as error:  # out of memory or no compiler; the other rows are still measured
                return [*named(backbone, size, compiled), first_line(error)]

        print_table(HEADER, (measured(*each) for each in rows))


def named(backbone: str, size: int, compiled: bool) -> list[object]:
    """The first entries of a row."""
    return [backbone, size, "yes" if compiled else "no"]


def row(backbone: str, compiled: bool, folder: Path, setting: Setting) -> list[object]:
    """Measures one row of the table.

    Args:
        backbone: name as in `model.backbones`.
        compiled: whether torch.compile compiles the network.
        folder: images of at least as many classes as a batch has images.
        setting: device, sizes and duration.
    """
    if compiled:
        torch.compiler.reset()
    cuda = setting.device.type == "cuda"
    if cuda:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(setting.device)
    network = build_network(backbone, setting.device, compiled)
    training = training_speeds(network, folder, setting)
    memory = torch.cuda.max_memory_allocated(setting.device) / 1e9 if cuda else float("nan")
    extraction = extraction_speeds(network, folder, setting)
    return [
        *named(backbone, setting.image_size, compiled),
        training["training"], f"{training['training'] / training['network']:.0%}",
        extraction["extraction"], f"{extraction['extraction'] / extraction['network']:.0%}",
        training["loader"], training["DALI loader"], training["augmentation"], memory, bound(training, extraction),
    ]  # fmt: skip


def bound(training: dict[str, float], extraction: dict[str, float]) -> str:
    """Returns the part that limits training and the part that limits extraction.

    The loader runs in parallel with the device, so the slower of the two is the limit. Augmentation and network run one
    after the other on the device, so their times add up.

    Args:
        training, extraction: results of `training_speeds` and `extraction_speeds`.
    """
    on_device = 1 / (1 / training["augmentation"] + 1 / training["network"])
    slower = "augmentation" if training["augmentation"] < training["network"] else "network"
    first = "loader" if training["loader"] < on_device else slower
    second = "loader" if training["loader"] < extraction["network"] else "network"
    return f"training: {first}, extraction: {second}"


if __name__ == "__main__":
    main()
