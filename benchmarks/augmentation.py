"""What augmentations cost, beside kornia's, torchvision's and an older checkout's:
python -m benchmarks.augmentation [share | each] [--before PATH]

Prints all tables or one, with medians of alternating runs.

- share: colour jitter alone and with the random resized crop, for the default recipe and that of the demo, and their
  share of a training step of the network alone.
- each: every augmentation alone, applied to each image (p = 1), and the same by the libraries that it does not come
  from. PATH is a checkout of abff36b, the commit before augmentations came from kornia; its own code is then timed too.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module

import torch
from kornia import augmentation as kornia
from torch import nn
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from augmentations import AUGMENTATIONS, FLAGS
from augmentations.color_jitter import ColorJitter
from augmentations.pipeline import Augmentation
from augmentations.random_resized_crop import RandomResizedCrop
from benchmarks.common import alternate, machine, print_table
from benchmarks.parts import TrainingStep, synchronize
from commons import devices
from model.network import GeoLocalizationNet

RUNS = 7
STRENGTH = (0.7, 0.7, 0.7, 0.5)
# Network, images in a batch, their size.
RECIPES = {
    "default": ({"backbone": "ResNet18"}, 16, 512),
    "demo": (
        {
            "backbone": "EfficientNet_Lite0",
            "fc_output_dim": 256,
            "num_trainable_blocks": 1,
            "freeze_batch_norm": True,
        },
        32,
        224,
    ),
}
BATCHES = ((32, 224), (16, 512))
Way = Callable[[torch.Tensor], torch.Tensor]


def image_by_image(transform: Way) -> Way:
    """Returns a transform of single images as one of batches."""
    return lambda images: torch.stack([transform(image) for image in images])


def others(size: int) -> dict[str, dict[str, Way]]:
    """Returns, for names of augmentations, the same by libraries that they do not come from."""
    bilinear = v2.InterpolationMode.BILINEAR
    return {
        "color_jitter": {
            "kornia": kornia.ColorJitter(*STRENGTH, p=1.0),
            "torchvision": image_by_image(v2.ColorJitter(*STRENGTH)),
        },
        "random_resized_crop": {
            "kornia": kornia.RandomResizedCrop((size, size), scale=(0.5, 1.0), p=1.0),
            "torchvision": image_by_image(v2.RandomResizedCrop(size, scale=(0.5, 1), antialias=True)),
        },
        "perspective": {"torchvision": image_by_image(v2.RandomPerspective(0.3, p=1))},
        "rotation": {"torchvision": image_by_image(v2.RandomRotation(10, bilinear))},
        "horizontal_flip": {"torchvision": image_by_image(v2.RandomHorizontalFlip(p=1))},
        "blur": {"torchvision": image_by_image(v2.GaussianBlur(13, (0.1, 2.0)))},
        "gamma": {"kornia": kornia.RandomGamma((2 / 3, 3 / 2), p=1.0)},
        "erasing": {  # kornia's boxes are filled with a constant
            "kornia": kornia.RandomErasing((0.02, 0.33), (0.3, 3.3), p=1.0),
            "torchvision": image_by_image(v2.RandomErasing(p=1, value="random")),
        },
        "randaugment": {"kornia": image_by_image(kornia.auto.RandAugment(2, 9))},
        "jpeg": {"kornia": kornia.RandomJPEG((30.0, 100.0), p=1.0), "torchvision": image_by_image(torchvision_jpeg)},
    }


def torchvision_jpeg(image: torch.Tensor) -> torch.Tensor:
    """Encodes and decodes an image on the CPU."""
    quality = int(torch.randint(30, 101, ()))
    return (F.jpeg(image.mul(255).round_().byte().cpu(), quality) / 255).to(image.device)


def load_before(checkout: str, name: str) -> nn.Module | None:
    """Builds an augmentation as another checkout has it, with its own defaults but p = 1; None if it has none."""

    def packages() -> list[str]:
        return [module for module in sys.modules if module.split(".")[0] in ("augmentations", "commons")]

    ours = {module: sys.modules.pop(module) for module in packages()}
    sys.path.insert(0, checkout)
    try:
        kinds = import_module("augmentations").AUGMENTATIONS
        return kinds[name](p=1.0) if name in kinds and name not in FLAGS else None
    finally:
        sys.path.remove(checkout)
        for module in packages():
            del sys.modules[module]
        sys.modules.update(ours)


def build(name: str, size: int) -> nn.Module:
    """Builds an augmentation with the default strengths that augments every image."""
    own = {"color_jitter": lambda: ColorJitter(*STRENGTH), "random_resized_crop": lambda: RandomResizedCrop(0.5)}
    return own[name]() if name in own else AUGMENTATIONS[name](p=1.0)


def main() -> None:
    """Prints all tables."""
    parser = argparse.ArgumentParser(description="Time augmentations.")
    parser.add_argument("table", nargs="?", choices=["share", "each"], help="by default both")
    parser.add_argument("--before", metavar="PATH", help="checkout of abff36b")
    args = parser.parse_args()
    devices.keep_freed_memory()
    device = devices.make_accelerator("auto").device
    print(f"{machine()}, threads: {torch.get_num_threads()}")
    with torch.no_grad():
        for recipe in RECIPES if args.table in (None, "share") else ():
            share_of_a_step(recipe, device)
        for count, size in BATCHES if args.table in (None, "each") else ():
            cost_of_each(count, size, device, args.before)


def share_of_a_step(recipe: str, device: torch.device) -> None:
    """Prints what colour jitter and crop take, and their share of a training step of the network alone."""
    network, count, size = RECIPES[recipe]
    precision = devices.choose_precision("auto", device)
    print(f"\n{recipe} recipe: {network['backbone']} in {precision}, {count} images of {size}x{size}\n")
    network = GeoLocalizationNet(**network).to(device, memory_format=torch.channels_last)
    if device.type == "cpu":
        devices.depthwise_in_fp32(network)
    step = torch.enable_grad()(TrainingStep(network, 1000, device, precision))
    images = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, device=device)
    augmented, labels = images / 255, torch.arange(count, device=device)
    library = nn.Sequential(*(others(size)[name]["kornia"] for name in ("color_jitter", "random_resized_crop")))

    ways: dict[str, Callable[[], object]] = {}
    ways["color_jitter"] = partial(on_a_copy, ColorJitter(*STRENGTH), augmented)
    ways["color_jitter, random_resized_crop"] = partial(Augmentation(), images)
    ways["both by kornia"] = lambda: library(images / 255)
    ways["training step"] = partial(step, augmented, labels)
    seconds = alternate({name: partial(synchronized, work, device) for name, work in ways.items()}, RUNS)
    rows = [[name, own * 1e3, f"{own / seconds['training step']:.1%}"] for name, own in seconds.items()]
    print_table(["", "ms", "share of the step"], rows)


def cost_of_each(count: int, size: int, device: torch.device, before: str | None) -> None:
    """Prints what every augmentation takes, and the same by other libraries and by the code before."""
    print(f"\n{count} images of {size}x{size}\n")
    images, libraries = torch.rand(count, 3, size, size, device=device), others(size)
    header, rows = ["every image, ms", "here", "kornia", "torchvision", *(["before"] if before else [])], []
    for name in AUGMENTATIONS:
        ways = {"here": build(name, size)} | libraries.get(name, {})
        if before and (earlier := load_before(before, name)):
            ways["before"] = earlier
        works = {way: partial(synchronized, partial(on_a_copy, work, images), device) for way, work in ways.items()}
        seconds = alternate(works, RUNS)
        rows.append([name, *(seconds[way] * 1e3 if way in seconds else "" for way in header[1:])])
    print_table(header, rows)


def on_a_copy(work: Way, images: torch.Tensor) -> torch.Tensor:
    """Augments a copy, because some work in place."""
    return work(images.clone())


def synchronized(work: Callable[[], object], device: torch.device) -> None:
    """Does the work and waits until the device has done it too."""
    work()
    synchronize(device)


if __name__ == "__main__":
    main()
