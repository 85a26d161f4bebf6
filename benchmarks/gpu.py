"""How fast a GPU trains and describes, and what holds it back: python -m benchmarks.gpu

One row a network and image size, from JPEG files of 512x512 to step or descriptor, beside the network alone on a batch
on the device, the loader alone and the augmentation alone, in images/s and in the precision of --precision auto. Sizes
that are no multiple of a network's patch are resized by the network. Takes less than 8 minutes.
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
# No row starts after this: the first compiled ones take up to a minute each.
LATEST_START = 400.0
HEADER = (
    "network", "size", "compiled", "training", "of the network", "extraction", "of the network", "loader",
    "augmentation", "memory, GB", "bound by",
)  # fmt: skip


def main() -> None:
    """Prints one table, or why there is none."""
    if not torch.cuda.is_available():
        print("No usable CUDA device: this benchmark measures nothing here.")
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
                return [*named(backbone, size, compiled), "left out: the time was up"]
            setting = Setting(device, precision, size, BATCH_SIZE, workers, SECONDS)
            try:
                return row(backbone, compiled, images, setting)
            except RuntimeError as error:  # out of memory, or no compiler: the other rows stand
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
        folder: of images, as many classes as a batch has images or more.
        setting: device, sizes and time.
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
        training["loader"], training["augmentation"], memory, bound(training, extraction),
    ]  # fmt: skip


def bound(training: dict[str, float], extraction: dict[str, float]) -> str:
    """Says which part bounds training and which extraction.

    Loading runs beside the device's work, so the slower of the two decides; augmentation and network follow each other
    on the device, so their times add up.

    Args:
        training, extraction: as from `training_speeds` and `extraction_speeds`.
    """
    on_device = 1 / (1 / training["augmentation"] + 1 / training["network"])
    slower = "augmentation" if training["augmentation"] < training["network"] else "network"
    first = "loader" if training["loader"] < on_device else slower
    second = "loader" if training["loader"] < extraction["network"] else "network"
    return f"training: {first}, extraction: {second}"


if __name__ == "__main__":
    main()
