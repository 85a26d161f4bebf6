"""Time of an epoch with a frozen encoder, from images and from cached features: python -m benchmarks.cached_features

Trains the head of --method cells on `demo-country` (rendered if it is not there) with the parts of train.py. One epoch
is one pass over the training photos. "Plain" loading decodes with Pillow in worker processes and passes floats, the
common pipeline; "ours" passes uint8 and decodes in threads. Network, precision, head and batches are the same in all
ways; there is no augmentation. Prints wall time, and processor time of all threads and workers: one run from images,
medians of five runs from features.
"""

import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import to_tensor

from benchmarks.common import machine, print_table
from commons import devices
from datasets.decoding import start_worker
from datasets.places import Places
from datasets.samplers import Draw
from datasets.train_dataset import to_device
from methods.preparation import Training, prepare
from parser import computed, parse_train_settings

BATCH, EPOCH, WORKERS, SIZE = 32, 94, 2, 160  # 94 batches are 3,000 photos
IMAGE_RUNS, FEATURE_RUNS = 1, 5
FLAGS = (
    "--method", "cells", "--dataset_folder", "demo-country", "--augmentations", "none", "--batch_size", BATCH,
    "--iterations_per_epoch", EPOCH, "--device", "cpu", "--cache_features",
)  # fmt: skip
Spent = tuple[float, float]


class PillowImages(Dataset):
    """The common pipeline: workers decode with Pillow and return floats."""

    def __init__(self, places: Places) -> None:
        self.places = places

    def __getitem__(self, draw: Draw) -> tuple[torch.Tensor, int]:
        """Returns float32 (3, SIZE, SIZE) between 0 and 1, and its label."""
        image = Image.open(self.places.path(draw.row)).convert("RGB")
        return to_tensor(image if image.size == (SIZE, SIZE) else image.resize((SIZE, SIZE))), draw.label


def spent() -> Spent:
    """Wall time, and processor time of this process and of the workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used)


def timed(work: Callable[[], object]) -> Spent:
    """Wall and processor time of a call."""
    start = spent()
    work()
    return tuple(after - before for before, after in zip(start, spent(), strict=True))


def epoch(made: Training, batches: Iterable, augment: nn.Module, trained: nn.Module) -> None:
    """One epoch, as train.py does it."""
    device = torch.device("cpu")
    made.sampler.set_epoch(made.method.begin_epoch(0, device), 0)
    trained.train()
    for iteration, batch in enumerate(batches, 1):
        pictures, labels, _ = to_device(batch, SIZE, device)
        with devices.autocast(device, made.precision):
            outputs = trained(augment(pictures))
        made.updates.take(made.method.loss(outputs, labels), 0, iteration)


def plain_batches(made: Training) -> Iterator[tuple]:
    """Batches of floats from worker processes, which end with the epoch so that their time is known."""
    images = made.loader.dataset.source.places
    loader = DataLoader(
        PillowImages(images), batch_sampler=made.sampler, num_workers=WORKERS, worker_init_fn=start_worker
    )
    yield from ((pictures, labels, []) for pictures, labels in loader)


def plain_epoch(made: Training) -> None:
    """One epoch with plain loading."""
    epoch(made, plain_batches(made), nn.Identity(), made.trained)


def prepared(cache: str, accelerator: Accelerator, folder: str) -> tuple[Training, Spent]:
    """Network, batches and all else of a training with a frozen encoder, and the time to prepare it."""
    settings = parse_train_settings([str(flag) for flag in (*FLAGS, cache)])
    found: list[Training] = []
    took = timed(lambda: found.append(prepare(settings, accelerator, Path(folder), None, computed(settings))))
    made = found[0]
    made.start.network.encoder.requires_grad_(False)
    return made, took


def main() -> None:
    """Prints a table of epochs and one of validations."""
    devices.keep_freed_memory()
    accelerator = devices.make_accelerator("cpu")
    with tempfile.TemporaryDirectory() as folder:
        made = {cache: prepared(cache, accelerator, folder) for cache in ("none", "disk", "ram")}
        plain = made["none"][0]
        epochs = {"images, plain loading": partial(plain_epoch, plain)}
        epochs |= {
            name: partial(epoch, own, own.loader, own.augment, own.trained)
            for name, own in zip(("images", "features on disk", "features in memory"), _trainings(made), strict=True)
        }
        print(
            f"{machine()}, {torch.get_num_threads()} threads; batches of {BATCH}, {EPOCH} batches; {plain.precision}\n"
        )
        _print("epoch", epochs)
        validations = {
            name: partial(own.task.evaluate, own.networks[-1], own.validation, own.test_precision, None)
            for name, own in zip(("images", "features"), _trainings(made), strict=False)
        }
        print()
        _print("validation", validations)
        print(
            f"\nPreparing, with features in memory: {made['ram'][1][0]:.0f} s; from images: {made['none'][1][0]:.0f} s"
        )


def _trainings(made: dict[str, tuple[Training, Spent]]) -> list[Training]:
    return [training for training, _ in made.values()]


def _print(what: str, ways: dict[str, Callable[[], object]]) -> None:
    """Times the ways in turn, and prints a table with ratios to the slowest of images."""
    times: dict[str, list[Spent]] = {name: [] for name in ways}
    for turn in range(FEATURE_RUNS):
        for name, work in ways.items():
            if turn < IMAGE_RUNS or "features" in name:
                times[name].append(timed(work))
    medians = {name: [statistics.median(column) for column in zip(*own, strict=True)] for name, own in times.items()}
    wall, processor = medians["images"]
    rows = [(name, *own, wall / own[0], processor / own[1]) for name, own in medians.items()]
    print_table((what, "s", "processor, s", "ratio", "ratio, processor"), rows)


if __name__ == "__main__":
    main()
