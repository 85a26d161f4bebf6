"""What augmenting a batch costs, and how far the linear colour jitter is from the exact one:
python -m benchmarks.augmentation

First table: colour jitter and random resized crop of a uint8 batch, by ours and by torchvision image by image, and the
share that it adds to a training step of the network alone. Second table: every other augmentation alone, done with each
image, beside torchvision's image by image where it has one. Third table: mean absolute difference of both jitters with
the same draws, in grey values of 255, on the demo city (made at first use). Prints medians of alternating runs.
"""

import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torchvision.transforms import v2

from augmentations import AUGMENTATIONS, FLAGS, Augmentation
from augmentations.color_jitter import ColorJitter, LinearColorJitter
from benchmarks.common import alternate, machine, print_table
from benchmarks.parts import TrainingStep, build_network
from commons import devices
from datasets.decoding import read_image
from demo.write import make_demo

BACKBONE, IMAGE_SIZE, BATCH_SIZE = "ResNet18", 512, 16
TORCHVISION = {
    "perspective": v2.RandomPerspective(0.3, p=1),
    "rotation": v2.RandomRotation(10, v2.InterpolationMode.BILINEAR),
    "horizontal_flip": v2.RandomHorizontalFlip(p=1),
    "blur": v2.GaussianBlur(13, (0.1, 2.0)),
    "erasing": v2.RandomErasing(p=1, value="random"),
    "randaugment": v2.RandAugment(),
    "augmix": v2.AugMix(all_ops=False),
}
STRENGTHS = {
    "the defaults: 0.7, 0.7, 0.7, hue 0.5": (0.7, 0.7, 0.7, 0.5),
    "0.7, 0.7, 0.7, no hue": (0.7, 0.7, 0.7, 0.0),
    "0.2, 0.2, 0.2, hue 0.02": (0.2, 0.2, 0.2, 0.02),
}


def main() -> None:
    """Prints all tables."""
    devices.keep_freed_memory()
    device = devices.make_accelerator("auto").device
    precision = devices.choose_precision("auto", device)
    print(f"{machine()}\n\n{BACKBONE} in {precision}, {BATCH_SIZE} images of {IMAGE_SIZE}x{IMAGE_SIZE}\n")
    images = torch.randint(0, 256, (BATCH_SIZE, 3, IMAGE_SIZE, IMAGE_SIZE), dtype=torch.uint8, device=device)
    step = cost(images, precision)
    print()
    cost_of_each(images, step)
    print()
    distance()


def cost(images: torch.Tensor, precision: str) -> float:
    """Prints what the ways of CosPlace's augmentation take and their shares of a training step; returns its seconds."""
    device = images.device
    crop = v2.RandomResizedCrop(IMAGE_SIZE, scale=(0.5, 1), antialias=True)
    theirs = v2.Compose([v2.ColorJitter(0.7, 0.7, 0.7, 0.5), crop])
    step = TrainingStep(build_network(BACKBONE, device), 1000, device, precision)
    augmented, labels = images / 255, torch.arange(BATCH_SIZE, device=device)

    ways = {f"ours, {kind}": partial(Augmentation(color_jitter=kind), images) for kind in ("exact", "linear")}
    ways["torchvision, image by image"] = lambda: torch.stack([theirs(image / 255) for image in images])
    ways["training step"] = partial(step, augmented, labels)
    seconds = alternate({name: partial(synchronized, work, device) for name, work in ways.items()})
    rows = [[name, own, f"{own / seconds['training step']:.1%}"] for name, own in seconds.items()]
    print_table(["", "s", "share of the step"], rows)
    return seconds["training step"]


def cost_of_each(images: torch.Tensor, step: float) -> None:
    """Prints what every other augmentation takes alone, and its share of a training step of so many seconds."""
    ways = {}
    for name in (name for name in AUGMENTATIONS if name not in FLAGS):
        ways[name] = partial(Augmentation(names=[name], options={name: {"p": 1.0}}), images)
        if name in TORCHVISION:
            theirs = TORCHVISION[name]
            ways[f"{name}, torchvision"] = lambda theirs=theirs: torch.stack([theirs(image / 255) for image in images])
    seconds = alternate({name: partial(synchronized, work, images.device) for name, work in ways.items()})
    rows = [
        [name, own, f"{own / step:.1%}", seconds.get(f"{name}, torchvision", "")]
        for name, own in seconds.items()
        if name in AUGMENTATIONS
    ]
    print_table(["every image", "s", "share of the step", "torchvision, image by image, s"], rows)


def synchronized(work: Callable[[], object], device: torch.device) -> None:
    """Does the work and waits until the device has done it too."""
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()


def distance() -> None:
    """Prints how far the linear jitter is from the exact one."""
    folder = make_demo(Path("cache") / "demo") / "train"
    images = torch.stack([read_image(path) for path in sorted(folder.iterdir())[::20]]).float() / 255
    rows = []
    for name, strengths in STRENGTHS.items():
        jitters = ColorJitter(*strengths), LinearColorJitter(*strengths)
        rows.append([name, statistics.mean(difference(*jitters, images, seed) for seed in range(5))])
    print_table(["strengths", "mean difference"], rows)


def difference(exact: ColorJitter, linear: LinearColorJitter, images: torch.Tensor, seed: int) -> float:
    """Mean absolute difference of both with the same draws, in grey values of 255."""
    results = []
    for jitter in (exact, linear):
        torch.manual_seed(seed)
        results.append(jitter(images.clone()))
    return float((results[0] - results[1]).abs().mean()) * 255


if __name__ == "__main__":
    main()
