"""The parts of training and extraction, to be timed separately and together."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch

from augmentations.pipeline import Augmentation
from commons import devices
from commons.compiling import compile_in_place
from datasets.dali import DaliBatches, has_dali
from datasets.decoding import ImageFiles
from datasets.device_decoding import choose_decoder
from datasets.grouping import make_groups
from datasets.reading import read_places
from datasets.samplers import ClassSampler
from datasets.test_dataset import image_batches
from datasets.train_dataset import to_device, train_loader
from losses import LOSSES
from methods import METHODS
from model.network import GeoLocalizationNet
from retrieval.descriptors import extract

ENDLESS = 10**5
WARM_UP_BATCHES = 5


@dataclass(frozen=True)
class Setting:
    """Device, sizes and duration of a measurement.

    Attributes:
        device, precision: as in `devices.autocast`.
        image_size: side in pixels; images of another size are resized to it.
        batch_size: images in a batch.
        workers: decoding processes.
        seconds: duration of each measurement.
    """

    device: torch.device
    precision: str
    image_size: int
    batch_size: int
    workers: int
    seconds: float

    def random_images(self) -> torch.Tensor:
        """A uint8 batch (b, 3, s, s) on the device."""
        shape = (self.batch_size, 3, self.image_size, self.image_size)
        return torch.randint(0, 256, shape, dtype=torch.uint8, device=self.device)

    def step_speed(self, step: "TrainingStep") -> float:
        """Images/s of training steps on one augmented batch on the device."""
        labels = torch.arange(self.batch_size, device=self.device)
        return self.speed(repeat(self.random_images() / 255), lambda images: step(images, labels))

    def speed(self, batches: Iterator, work: Callable[[Any], object] = id) -> float:
        """Images/s of `work` on successive batches, after an untimed warm-up; by default of the batches alone."""
        for batch in islice(batches, WARM_UP_BATCHES):
            work(batch)
        synchronize(self.device)
        start, images = time.perf_counter(), 0
        while time.perf_counter() - start < self.seconds:
            work(next(batches))
            images += self.batch_size
        synchronize(self.device)
        return images / (time.perf_counter() - start)

    def forward_speed(self, network: torch.nn.Module) -> float:
        """Images/s of extracting descriptors of one batch on the device."""

        @torch.inference_mode()
        def extract_batch(images: torch.Tensor) -> None:
            with devices.autocast(self.device, self.precision):
                network(images)

        network.eval()
        return self.speed(repeat(self.random_images()), extract_batch)


def synchronize(device: torch.device) -> None:
    """Waits until a GPU has finished its work; does nothing on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def build_network(backbone: str, device: torch.device, compiled: bool = False) -> torch.nn.Module:
    """Returns the network with random weights, in the memory format of train.py and eval.py."""
    network = GeoLocalizationNet(backbone).to(device, memory_format=torch.channels_last)
    if compiled:
        compile_in_place(network)
    return network


class TrainingStep:
    """The training step of train.py on a batch on the device: forward, backward and both optimizers' steps."""

    def __init__(self, network: torch.nn.Module, classes: int, device: torch.device, precision: str) -> None:
        """Args:
        network: result of `build_network`.
        classes: number of classes in the group.
        device, precision: as in `devices.autocast`.
        """
        group = np.arange(classes)
        self.network, self.device, self.precision = network.train(), device, precision
        self.method = METHODS["cosplace"]([group], LOSSES["cosface"], network.descriptor_dim, 1e-2)
        self.method.begin_epoch(0, device)
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=1e-5, fused=True)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Takes one step.

        Args:
            images: float (b, 3, h, w) between 0 and 1.
            labels: int64 (b,).
        """
        with devices.autocast(self.device, self.precision):
            descriptors = self.network(images)
        loss = self.method.loss(descriptors, labels)
        for optimizer in (self.optimizer, *self.method.optimizers):
            optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        for optimizer in (self.optimizer, *self.method.optimizers):
            self.scaler.step(optimizer)
        self.scaler.update()


def training_speeds(network: torch.nn.Module, folder: Path, setting: Setting) -> dict[str, float]:
    """Images/s of training from files to the step ("training"), and of network, augmentation and loader alone."""
    device, augment = setting.device, Augmentation()
    step = TrainingStep(network, len(read_places(folder)), device, setting.precision)

    def whole(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
        images, labels = batch
        step(augment(images), labels)

    # The network is measured first, so that it is compiled and no loader is filling its queue at the same time.
    return {
        "network": setting.step_speed(step),
        "augmentation": setting.speed(repeat(setting.random_images()), augment),
        "loader": setting.speed(train_batches(folder, setting)),
        "training": setting.speed(train_batches(folder, setting), whole),
        "DALI loader": setting.speed(train_batches(folder, setting, dali=True)) if has_dali() else float("nan"),
    }


def train_batches(folder: Path, setting: Setting, dali: bool = False) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yields uint8 images and labels endlessly, loaded as in train.py from classes of 10 m and 30 degrees.

    Args:
        folder: folder of the images.
        setting: device and sizes.
        dali: whether DALI decodes.
    """
    places = read_places(folder)
    group = make_groups(places, M=10, alpha=30, N=5, L=2, groups_num=1, min_images_per_class=1)[0]
    sampler = ClassSampler(setting.batch_size, ENDLESS, seed=0)
    sampler.set_epoch([group], 0)
    source = ImageFiles(places, setting.image_size)
    decoder = setting.device if dali else choose_decoder("cpu", source, setting.device, setting.workers)
    loader = train_loader(source, sampler, setting.workers, setting.device.type == "cuda", decoder)
    if dali:
        loader = DaliBatches(loader, setting.image_size, setting.batch_size, setting.device, setting.workers)
    for batch in loader:
        yield to_device(batch, setting.image_size, setting.device)[:2]


def extraction_speeds(network: torch.nn.Module, folder: Path, setting: Setting) -> dict[str, float]:
    """Images/s of extraction from files to descriptors ("extraction"), and of the network alone."""
    places = read_places(folder)
    places = places.take(np.arange(ENDLESS) % len(places))
    source = ImageFiles(places, setting.image_size)
    batches = image_batches(source, setting.batch_size, setting.workers, setting.device)
    return {
        "network": setting.forward_speed(network),
        "extraction": setting.speed(extract(network, batches, setting.device, setting.precision)),
    }
