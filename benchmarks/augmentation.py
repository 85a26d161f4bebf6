"""What augmenting a batch costs, and how far the linear colour jitter is from the exact one:
python -m benchmarks.augmentation

First table: colour jitter and random resized crop of a uint8 batch, by ours and by torchvision image by image, and the
share that it adds to a training step of the network alone. Second table: mean absolute difference of both jitters with
the same draws, in grey values of 255, on the demo city (made at first use). Prints medians of alternating runs.
"""

import statistics
from functools import partial
from pathlib import Path

import torch
from torchvision.transforms import v2

from augmentations import Augmentation
from augmentations.color_jitter import ColorJitter, LinearColorJitter
from benchmarks.common import alternate, machine, print_table
from benchmarks.parts import TrainingStep, build_network
from commons import devices
from datasets.decoding import read_image
from datasets.demo import make_demo

BACKBONE, IMAGE_SIZE, BATCH_SIZE = "ResNet18", 512, 16
STRENGTHS = {
    "the defaults: 0.7, 0.7, 0.7, hue 0.5": (0.7, 0.7, 0.7, 0.5),
    "0.7, 0.7, 0.7, no hue": (0.7, 0.7, 0.7, 0.0),
    "0.2, 0.2, 0.2, hue 0.02": (0.2, 0.2, 0.2, 0.02),
}


def main() -> None:
    """Prints both tables."""
    devices.keep_freed_memory()
    device = devices.make_accelerator("auto").device
    precision = devices.choose_precision("auto", device)
    print(f"{machine()}\n\n{BACKBONE} in {precision}, {BATCH_SIZE} images of {IMAGE_SIZE}x{IMAGE_SIZE}\n")
    cost(device, precision)
    print()
    distance()


def cost(device: torch.device, precision: str) -> None:
    """Prints what each way takes, and its share of a training step."""
    images = torch.randint(0, 256, (BATCH_SIZE, 3, IMAGE_SIZE, IMAGE_SIZE), dtype=torch.uint8, device=device)
    crop = v2.RandomResizedCrop(IMAGE_SIZE, scale=(0.5, 1), antialias=True)
    theirs = v2.Compose([v2.ColorJitter(0.7, 0.7, 0.7, 0.5), crop])
    step = TrainingStep(build_network(BACKBONE, device), 1000, device, precision)
    augmented, labels = images / 255, torch.arange(BATCH_SIZE, device=device)

    def synchronized(work: partial) -> None:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()

    ways = {f"ours, {kind}": partial(Augmentation(color_jitter=kind), images) for kind in ("exact", "linear")}
    ways["torchvision, image by image"] = lambda: torch.stack([theirs(image / 255) for image in images])
    ways["training step"] = partial(step, augmented, labels)
    seconds = alternate({name: partial(synchronized, work) for name, work in ways.items()})
    rows = [[name, own, f"{own / seconds['training step']:.1%}"] for name, own in seconds.items()]
    print_table(["", "s", "share of the step"], rows)


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
