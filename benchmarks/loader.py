"""Speed of the training loader alone, and time to decode one image: python -m benchmarks.loader

The street images are synthetic and are read from the page cache, so the figures include decoding and the transfer
between processes, but not the disk.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import to_tensor

from benchmarks.common import alternate, machine, print_table, write_street_images
from commons.devices import keep_freed_memory
from datasets.decoding import ImageFiles, decode, read_bytes, read_image, resize_shorter_side, start_worker
from datasets.device_decoding import decode_jpegs
from datasets.grouping import Group
from datasets.image_cache import cached_images
from datasets.places import Places
from datasets.reading import read_places
from datasets.samplers import ClassSampler, Draw
from datasets.train_dataset import train_loader

SIZE, BATCH, WORKERS = 512, 16, min(8, os.cpu_count() or 1)
# For each set: side of its images, number of images, batches per run.
SETS = {"512x512": (512, 128, 24), "2048x2048": (2048, 32, 6)}


class PillowImages(Dataset):
    """The common pipeline: workers decode and resize with Pillow and return floats."""

    def __init__(self, places: Places) -> None:
        self.places = places

    def __getitem__(self, draw: Draw) -> tuple[torch.Tensor, int]:
        return pillow_image(self.places.path(draw.row)), draw.label


def pillow_image(path: Path) -> torch.Tensor:
    """Returns an image at SIZE x SIZE, float32 in [0, 1]."""
    image = Image.open(path).convert("RGB")
    return to_tensor(image.resize((SIZE, SIZE)) if image.size != (SIZE, SIZE) else image)


def main() -> None:
    """Prints a table of loaders and a table of single images."""
    keep_freed_memory()
    print(f"{machine()}; {WORKERS} workers, batches of {BATCH} at {SIZE}x{SIZE}\n")
    with tempfile.TemporaryDirectory() as folder:
        rows, singles = [], []
        for name, (side, count, batches) in SETS.items():
            write_street_images(Path(folder, name), count, side)
            places = read_places(Path(folder, name))
            speeds = {
                way: batches * BATCH / seconds
                for way, seconds in alternate(_loaders(places, batches, Path(folder, "cache"))).items()
            }
            rows += [(name, way, speed, speed / speeds["Pillow"]) for way, speed in speeds.items()]
            times = alternate(_single(places.path(0)), runs=15)
            singles += [(name, way, 1000 * seconds) for way, seconds in times.items()]
    print_table(("images", "loader", "images/s", "ratio"), rows)
    print("\nOne image in one thread\n")
    print_table(("image", "decoding", "ms"), singles)


def _loaders(places: Places, batches: int, folder: Path) -> dict[str, Callable[[], object]]:
    """Returns loaders that each yield `batches` batches and keep their workers."""
    sampler = ClassSampler(BATCH, batches, seed=0)
    sampler.set_epoch([Group(np.arange(len(places)), np.arange(len(places) + 1), (0, 0, 0))], 0)
    pillow = DataLoader(
        PillowImages(places),
        batch_sampler=sampler,
        num_workers=WORKERS,
        persistent_workers=True,
        worker_init_fn=start_worker,
    )
    loaders = {"Pillow": pillow}
    for cache in ("none", "ram", "disk"):
        source = cached_images(places, SIZE, cache, folder)
        loaders[f"--cache_images {cache}"] = train_loader(source, sampler, WORKERS, torch.cuda.is_available())
    source = ImageFiles(places, SIZE)
    without_decoding = train_loader(source, sampler, WORKERS, torch.cuda.is_available(), torch.device("cuda"))
    loaders["without decoding"] = without_decoding
    return {name: lambda loader=loader: [None for _ in loader] for name, loader in loaders.items()}


def _single(path: Path) -> dict[str, Callable[[], object]]:
    torch.set_num_threads(1)
    data, device = read_bytes(path), torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "Pillow, resized, float": lambda: pillow_image(path),
        "torchvision, resized": lambda: resize_shorter_side(read_image(path), SIZE),
        "Placewise": lambda: read_image(path, SIZE),
        "Placewise, from bytes": lambda: decode(data, SIZE),
        f"decode_jpeg on {device}, resized": lambda: [
            resize_shorter_side(image, SIZE) for image in decode_jpegs([data], device)
        ],
    }


if __name__ == "__main__":
    main()
