"""Everything that a training needs before its first iteration, built from the settings of train.py."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from augmentations.pipeline import Augmentation
from commons import devices
from commons.compiling import compile_in_place
from commons.distributed import check_same
from commons.files import CACHE
from commons.seeding import seed_everything
from datasets.dali import DaliBatches, takes_dali
from datasets.decoding import Size
from datasets.device_decoding import choose_decoder
from datasets.feature_batches import FeatureBatches
from datasets.image_cache import cached_images
from datasets.places import places_key
from datasets.reading import read_images
from datasets.train_dataset import train_loader
from datasets.unreadable import UnreadableImages
from methods import METHODS
from methods.checks import training_text
from methods.extras import build_extras
from model.cost import network_cost
from tasks import TASKS
from tasks.adaptation import adaptation_records, remember_targets
from tasks.task import StartNetwork, Task
from training.extras import Extras
from training.state import TrainingState
from training.updates import Updates


@dataclass(frozen=True)
class Training:
    """What train.py trains and measures.

    Attributes:
        task: what is learned.
        validation, test_sets: sets that the task has read.
        start: the network on its device, and where it comes from.
        networks: the network, and its moving average if there is one; the last one is evaluated.
        method: how it is learned.
        sampler, loader: of the batches.
        size: size of training images: the side of squares, or a Letterbox.
        augment: maps uint8 images (b, 3, h, w) to float ones.
        inputs: returns the arguments of the network from augmented images and labels: the images, and what the method
            adds.
        trained: what maps them to the input of the loss: the network, or its head if batches have features.
        extras: losses beside the method's.
        updates: optimizer and schedule.
        unreadable: counts the training images that cannot be decoded.
        precision, test_precision: of training, and of validation and test.
        state: what checkpoints hold.
        records: entries of the results about adaptation, by the name of the set; empty except on the main process.
        cost: cost of the network, for run.json.
    """

    task: Task
    validation: Any
    test_sets: list[Any]
    start: StartNetwork
    networks: list[nn.Module]
    method: Any
    sampler: Any
    loader: DataLoader | FeatureBatches | DaliBatches
    size: Size
    augment: nn.Module
    inputs: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]]
    trained: nn.Module
    extras: Extras
    updates: Updates
    unreadable: UnreadableImages
    precision: str
    test_precision: str
    state: TrainingState
    records: dict[str, dict]
    cost: dict[str, Any]


def prepare(
    settings: Any,
    accelerator: Accelerator,
    folder: Path | None,
    checkpoint: Mapping[str, Any] | None,
    config: Mapping[str, Any],
) -> Training:
    """Reads the images, builds network, method and optimizer, and seeds the random numbers of the training.

    Args:
        settings: settings of train.py.
        accelerator: the processes of the run.
        folder: folder of the run; None except on the main process.
        checkpoint: checkpoint of the run to resume, which is not loaded here; None for a new run.
        config: the settings that checkpoints hold.
    """
    run, length, device = settings.run, settings.training, accelerator.device
    precision = devices.choose_precision(run.precision, device)
    logging.info(f"Device: {device}, precision {precision}, {accelerator.num_processes} process(es)")

    kind = METHODS[settings.method.method]
    task = TASKS[kind.task].for_data(settings, accelerator)
    size = task.image_size
    images = task.read_training_images(kind.labelled)
    if accelerator.num_processes > 1:
        check_same("list of training images", places_key(images), accelerator)
    targets = read_images(settings.extras.target_folder) if settings.extras.target_folder else None
    validation, test_sets = task.read_validation_set(), task.read_test_sets()

    start = task.build_network(checkpoint)
    network, cost = start.network, network_cost(start.network, length.image_size)
    with accelerator.main_process_first():
        method = kind.build(settings, images, network.descriptor_dim, task)
    share = (accelerator.process_index, accelerator.num_processes)
    sampler = method.sampler(length.batch_size, length.iterations_per_epoch, run.seed, *share)
    logging.info(f"Method: {training_text(settings)}")
    seen = start.targets if checkpoint is None else checkpoint.get("targets", {})
    seen = remember_targets(seen, settings.extras.target_folder, targets)
    records = adaptation_records((validation, *test_sets), seen) if accelerator.is_main_process else {}
    with accelerator.main_process_first():
        train_images = cached_images(images, size, run.cache_images, CACHE)
        target_images = cached_images(targets, size, run.cache_images, CACHE) if targets else None
    task.cache_images(validation)
    if checkpoint is None and not start.config:
        task.initialise(network, images, precision)
    if device.type == "cpu":
        devices.depthwise_in_fp32(network)
    average = _average(network, settings.optimizer.ema)
    networks = [network] if average is None else [network, average.module]
    if run.compile:
        for each in networks:
            compile_in_place(each)
    test_precision = devices.choose_precision(run.precision, device, extracted_by=network)
    if test_precision != precision:
        logging.info(f"Precision of validation and test: {test_precision}")

    decoder = choose_decoder(run.decode, train_images, device, run.num_workers)
    augment, trained = Augmentation(**vars(settings.augmentation)), network
    workers, dali = run.num_workers, False
    if run.cache_features == "none":
        dali = takes_dali(run.loader, train_images, device, workers, decoder)
        loader = train_loader(train_images, sampler, workers, device.type == "cuda", device if dali else decoder)
        if dali:
            loader = DaliBatches(loader, size, length.batch_size, device, workers)
    else:
        features = task.cache_features(network, train_images, validation, augment, test_precision)
        loader, augment, trained = FeatureBatches(features, sampler, images), nn.Identity(), network.head
    extras = build_extras(settings, network.descriptor_dim, target_images, accelerator, decoder)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
    updates = Updates.of(settings, network, (method, extras), scaler, average, accelerator)
    own = {"decode": "gpu" if decoder else "cpu", "loader": "dali" if dali else "torch"}
    own = own if device.type == "cuda" else {}  # a resumed run sees the same pixels
    record = task.record() | task.entries() | {"targets": seen}
    parts = {"network": network, "method": method, "optimizer": updates.optimizer, "extras": extras}
    parts |= {"schedule": updates.schedule} | ({} if average is None else {"average": average})
    seed_everything(run.seed, accelerator.process_index)
    return Training(
        task=task, validation=validation, test_sets=test_sets, start=start, networks=networks, method=method,
        sampler=sampler, loader=loader, size=size, augment=augment,
        inputs=getattr(method, "inputs", _images_alone), trained=trained, extras=extras, updates=updates,
        unreadable=UnreadableImages(len(images)), precision=precision, test_precision=test_precision,
        state=TrainingState(parts, scaler, {**config, **start.config, **own}, record, folder, accelerator),
        records=records, cost=cost,
    )  # fmt: skip


def _images_alone(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor]:
    return (images,)


def _average(network: nn.Module, decay: float) -> AveragedModel | None:
    """Returns an exponential moving average of the weights; None for a decay of 0."""
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True) if decay else None
