"""How far the linear colour jitter is from the exact one, and how much faster: python -m benchmarks.color_jitter

Uses the demo city (made at first use) and prints medians of alternating runs.
"""

import statistics
from functools import partial
from pathlib import Path

import torch

from augmentations.color_jitter import ColorJitter, LinearColorJitter
from benchmarks.common import alternate, machine, print_table
from commons.devices import keep_freed_memory
from datasets.decoding import read_image
from datasets.demo import make_demo

STRENGTHS = {
    "the defaults: 0.7, 0.7, 0.7, hue 0.5": (0.7, 0.7, 0.7, 0.5),
    "0.7, 0.7, 0.7, no hue": (0.7, 0.7, 0.7, 0.0),
    "0.2, 0.2, 0.2, hue 0.02": (0.2, 0.2, 0.2, 0.02),
}


def main() -> None:
    """Prints one table."""
    keep_freed_memory()
    folder = make_demo(Path("cache") / "demo") / "train"
    images = torch.stack([read_image(path) for path in sorted(folder.iterdir())[::20]]).float() / 255
    print(f"{machine()}, batch of {len(images)} images of 320x320\n")
    rows = []
    for name, strengths in STRENGTHS.items():
        jitters = {"exact": ColorJitter(*strengths), "linear": LinearColorJitter(*strengths)}
        seconds = alternate({kind: partial(jitter, images) for kind, jitter in jitters.items()})
        differences = [difference(*jitters.values(), images, seed) for seed in range(5)]
        rows.append([name, statistics.mean(differences), *seconds.values(), seconds["exact"] / seconds["linear"]])
    print_table(["strengths", "mean difference", "exact, s", "linear, s", "ratio"], rows)


def difference(exact: ColorJitter, linear: LinearColorJitter, images: torch.Tensor, seed: int) -> float:
    """Mean absolute difference of both with the same draws, in grey values of 255."""
    results = []
    for jitter in (exact, linear):
        torch.manual_seed(seed)
        results.append(jitter(images))
    return float((results[0] - results[1]).abs().mean()) * 255


if __name__ == "__main__":
    main()
