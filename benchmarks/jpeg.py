"""Training batches decoded with and without simplejpeg, in one thread: python -m benchmarks.jpeg

The street images are synthetic and are read from the page cache. Runs alternate; times are processor time of reading,
decoding, resizing and stacking.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import machine, print_table, write_street_images
from commons.devices import keep_freed_memory
from commons.errors import PlacewiseError, run
from datasets import decoding
from datasets.decoding import ImageFiles
from datasets.grouping import Group
from datasets.reading import read_places
from datasets.samplers import ClassSampler
from datasets.train_dataset import to_device, train_loader

CASES = ((512, 512), (512, 224), (1024, 512), (1600, 512), (2048, 512), (2048, 224))  # sides of images and of squares
IMAGES, BATCH, RUNS, WARM_UP = 16, 8, 15, 1
CPU = torch.device("cpu")


def main() -> None:
    """Prints a table."""
    package = decoding.simplejpeg
    if package is None:
        raise PlacewiseError("simplejpeg is not installed: pip install simplejpeg")
    torch.set_num_threads(1)
    keep_freed_memory()
    print(f"{machine()}; one thread, batches of {BATCH}, medians of {RUNS} runs\n")
    rows = []
    for side, size in CASES:
        with tempfile.TemporaryDirectory() as folder:
            write_street_images(Path(folder), IMAGES, side)
            times, pixels = _times(folder, size, {"without": None, "with": package})
        if pixels["with"] != pixels["without"]:
            raise PlacewiseError(f"images of {side}x{side} at {size}x{size} have other pixels with simplejpeg")
        ratio = statistics.median(slow / fast for slow, fast in zip(times["without"], times["with"], strict=True))
        rows.append((f"{side}x{side}", f"{size}x{size}", *(statistics.median(own) for own in times.values()), ratio))
    print_table(("images", "squares", "without, ms", "simplejpeg, ms", "ratio"), rows)


def _times(folder: str, size: int, packages: dict[str, object]) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Returns milliseconds of processor time for an image in each run, and the sum of all pixels."""
    places = read_places(Path(folder))
    sampler = ClassSampler(BATCH, IMAGES // BATCH, seed=0)
    sampler.set_epoch([Group(np.arange(IMAGES), np.arange(IMAGES + 1), (0, 0, 0))], 0)
    loader = train_loader(ImageFiles(places, size), sampler, 0, False, CPU)
    times, sums = {name: [] for name in packages}, {}
    for number in range(WARM_UP + RUNS):
        for name, package in packages.items():
            decoding.simplejpeg = package
            started = time.process_time()
            batches = [to_device(batch, size, CPU)[0] for batch in loader]
            spent = time.process_time() - started
            if number >= WARM_UP:
                times[name].append(1000 * spent / IMAGES)
            else:
                sums[name] = sum(int(images.long().sum()) for images in batches)
    return times, sums


if __name__ == "__main__":
    run(main)
