"""How far the linear colour jitter is from the exact one, and how much faster: python -m benchmarks.color_jitter

Uses the demo city (made at first use) and prints medians of alternating runs.
"""

import os
import statistics
import time
from pathlib import Path

import torch

from augmentations.color_jitter import ColorJitter, LinearColorJitter
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
    print(f"{os.cpu_count()} cores, batch of {len(images)} images of 320x320\n")
    print("| strengths | mean difference | exact, s | linear, s | ratio |\n|---|---|---|---|---|")
    for name, strengths in STRENGTHS.items():
        jitters = {"exact": ColorJitter(*strengths), "linear": LinearColorJitter(*strengths)}
        times: dict[str, list[float]] = {"exact": [], "linear": []}
        differences = []
        for seed in range(5):
            results = []
            for kind, jitter in jitters.items():
                torch.manual_seed(seed)
                start = time.perf_counter()
                results.append(jitter(images))
                times[kind].append(time.perf_counter() - start)
            differences.append(float((results[0] - results[1]).abs().mean()) * 255)
        exact, linear = (statistics.median(times[kind]) for kind in ("exact", "linear"))
        print(f"| {name} | {statistics.mean(differences):.1f} | {exact:.2f} | {linear:.2f} | {exact / linear:.1f} |")


if __name__ == "__main__":
    main()
