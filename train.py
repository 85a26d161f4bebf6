"""Trains a network: python train.py --dataset_folder DIR"""

from commons.errors import run
from parser import TrainSettings, computed, kept, parse_train_settings

# The imports below take seconds; --help and mistakes on the command line are answered before.
SETTINGS = run(parse_train_settings) if __name__ == "__main__" else None

import logging
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from augmentations.pipeline import Augmentation
from commons import devices, runs
from commons.checkpoints import load_checkpoint
from commons.compiling import check_compiler, compile_in_place
from commons.distributed import any_process, from_main, share_from_main
from commons.errors import stopped, stopping_tells
from commons.files import CACHE
from commons.logging import log_to, setup_logging
from commons.seeding import seed_everything
from commons.signals import StopSignal
from commons.trackers import start_trackers
from datasets.decoding import UnreadableImages
from datasets.device_decoding import choose_decoder
from datasets.image_cache import cached_images
from datasets.reading import read_images
from datasets.train_dataset import to_device, train_loader
from methods import METHODS
from methods.checks import check_batches, training_text
from methods.extras import build_extras
from model.cost import network_cost
from reports.curves import save_training_curves
from tasks import TASKS
from tasks.adaptation import adaptation_records, remember_targets
from training.progress import epoch_row, show_progress
from training.state import LAST, TrainingState
from training.updates import Updates


def main(settings: TrainSettings | None = None) -> None:
    """Entry point."""
    settings = settings or SETTINGS or parse_train_settings()
    stop = StopSignal()
    devices.keep_freed_memory()
    accelerator = devices.make_accelerator(settings.run.device)
    check_batches(settings, accelerator.num_processes)
    if settings.run.compile:
        check_compiler(accelerator.device)
    setup_logging(quiet=not accelerator.is_main_process)
    resuming = settings.training.resume_train is not None
    claim = runs.claimed_run_folder(settings.run.save_dir, settings.run.output_folder, resuming)
    with claim if accelerator.is_main_process else nullcontext() as folder:
        train(settings, accelerator, folder, stop)


def train(settings: TrainSettings, accelerator: Accelerator, folder: Path | None, stop: StopSignal) -> None:
    """Trains, validates after every epoch, and evaluates the best network.

    Args:
        settings: of the run.
        accelerator: the processes of the run.
        folder: of the run; None except on the main process.
        stop: whether the user has asked the run to stop.
    """
    run, length, size = settings.run, settings.training, settings.training.image_size
    device, is_main = accelerator.device, accelerator.is_main_process
    seed_everything(run.seed)
    checkpoint = load_checkpoint(length.resume_train) if length.resume_train else None
    precision = devices.choose_precision(run.precision, device)
    logging.info(" ".join(sys.argv))
    logging.info(f"Device: {device}, precision {precision}, {accelerator.num_processes} process(es)")

    #### Data
    kind = METHODS[settings.method.method]
    task = TASKS[kind.task](settings, accelerator)
    images = task.read_training_images(kind.labelled)
    targets = read_images(settings.extras.target_folder) if settings.extras.target_folder else None
    validation, test_sets = task.read_validation_set(), task.read_test_sets()

    #### Network, method, optimizer
    network, network_config, seen_before = task.build_network(checkpoint["config"] if checkpoint else None)
    cost = network_cost(network, size)
    with accelerator.main_process_first():
        method = kind.build(settings, images, network.descriptor_dim)
    share = (accelerator.process_index, accelerator.num_processes)
    sampler = method.sampler(length.batch_size, length.iterations_per_epoch, run.seed, *share)
    logging.info(f"Method: {training_text(settings)}")
    seen = seen_before if checkpoint is None else checkpoint.get("targets", {})
    seen = remember_targets(seen, settings.extras.target_folder, targets)
    records = adaptation_records((validation, *test_sets), seen) if is_main else {}
    with accelerator.main_process_first():
        train_images = cached_images(images, size, run.cache_images, CACHE)
        target_images = cached_images(targets, size, run.cache_images, CACHE) if targets else None
    task.cache_images(validation)
    if checkpoint is None and not network_config:
        task.initialise(network, images, precision)
    if device.type == "cpu":
        devices.depthwise_in_fp32(network)
    ema = settings.optimizer.ema
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(ema), use_buffers=True) if ema else None
    networks = [network] if average is None else [network, average.module]
    tested = networks[-1]
    if run.compile:
        for each in networks:
            compile_in_place(each)
    test_precision = devices.choose_precision(run.precision, device, extracted_by=network)
    if test_precision != precision:
        logging.info(f"Validation and test in {test_precision}")
    augment = Augmentation(**vars(settings.augmentation))
    decoder = choose_decoder(run.decode, train_images, device, run.num_workers)
    loader = train_loader(train_images, sampler, run.num_workers, device.type == "cuda", decoder)
    extras = build_extras(settings, network.descriptor_dim, target_images, accelerator, decoder)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
    updates = Updates.of(settings, network, (method, extras), scaler, average, accelerator)
    optimizer, schedule = updates.optimizer, updates.schedule
    unreadable = UnreadableImages(len(images))

    #### The state of the run
    seed_everything(run.seed, accelerator.process_index)
    config = computed(settings) | network_config
    if device.type == "cuda":
        config["decode"] = "gpu" if decoder else "cpu"  # a resumed run must see the same pixels
    parts = {"network": network, "method": method, "optimizer": optimizer, "extras": extras, "schedule": schedule}
    parts |= {} if average is None else {"average": average}
    state = TrainingState(parts, scaler, config, task.record() | {"targets": seen}, folder, accelerator)
    if checkpoint is not None:
        state.restore(checkpoint, length.resume_train)
        logging.info(f"Continuing with epoch {state.progress.epoch} at iteration {state.progress.iteration}")
    progress, metric = state.progress, task.main_metric
    if is_main:
        about = {"network": cost, "validation": validation.name, "precision": precision}
        start_run(settings, state, checkpoint, about | {"processes": accelerator.num_processes})
    if checkpoint is None and (length.test_untrained or length.epochs_num == 0):
        progress.results = task.evaluate_untrained(tested, (validation, *test_sets), test_precision, seen_before)
    if checkpoint is None:
        state.save()
        if length.epochs_num == 0:
            state.save_best(tested)

    #### Training
    wrapped = accelerator.prepare_model(network)
    resume_file = folder / LAST if is_main else length.resume_train or LAST
    # Asking whether another process was stopped waits for its GPU, so several GPUs ask seldom.
    several_gpus = accelerator.num_processes > 1 and device.type == "cuda"
    ask_every = settings.optimizer.accumulate * (10 if several_gpus else 1)
    for epoch in range(progress.epoch, length.epochs_num):
        if length.patience and epoch - progress.best_epoch > length.patience:
            logging.info(f"No better validation {metric.name} in {length.patience} epochs: the training ends")
            break
        started, first = time.monotonic(), progress.iteration
        sampler.set_epoch(method.begin_epoch(epoch, device), epoch, first)
        extras.begin_epoch(epoch, first)
        wrapped.train()
        loss_sum = torch.tensor(progress.loss_sum, device=device)
        iterations = length.iterations_per_epoch
        bar = tqdm(loader, f"epoch {epoch}", iterations, initial=first, unit="batch", disable=not is_main)
        with stop.deferred():
            for iteration, batch in enumerate(bar, first + 1):
                pictures, labels, failures = to_device(batch, size, device)
                unreadable.add_batch(failures, len(pictures))
                pictures = extras.images(pictures, augment)
                with devices.autocast(device, precision):
                    descriptors = wrapped(pictures)
                done = (epoch * iterations + iteration) / (length.epochs_num * iterations)
                loss = method.loss(descriptors[: len(labels)], labels) + extras.loss(descriptors, len(labels), done)
                updates.take(loss, epoch, iteration)
                loss_sum += loss.detach()
                progress.iteration = iteration
                if iteration % 10 == 0 or iteration == iterations:
                    show_progress(bar, float(loss_sum) / iteration, (iteration - first) * length.batch_size, started)
                if iteration % ask_every == 0 and any_process(stop.requested, accelerator):
                    break
            bar.close()
            method.end_epoch()
            for each in networks:  # in one order, so that all processes send and receive the same buffers
                share_from_main(each.buffers(), accelerator)
            progress.loss_sum = float(loss_sum)
            progress.seconds += time.monotonic() - started
            state.save()
        if any_process(stop.requested, accelerator):
            raise stopped(resume_file)

        #### Validation
        with stopping_tells(resume_file):
            evaluation = task.evaluate(tested, validation, test_precision, folder)
        value = from_main(evaluation.results[metric.name] if is_main else None)
        schedule.end_epoch(metric.score(value))
        if is_main:
            figures, beside = task.shown(evaluation.results), extras.means(iterations)
            rate = optimizer.param_groups[-1]["lr"]
            row = epoch_row(progress, figures, beside, rate, iterations, iterations * length.batch_size)
            runs.save_metrics(progress.history, folder / "metrics.csv")
            save_training_curves(folder / "metrics.csv", folder / "training_curves.png", metric)
            accelerator.log(row, epoch)
        if metric.better(value, progress.best):
            progress.best, progress.best_epoch = value, epoch
            if is_main:
                progress.results[validation.name] = evaluation.results
            state.save_best(tested)
        progress.next_epoch()
        state.save()

    #### Test of the best network
    evaluations = {}
    if length.epochs_num > 0:
        state.load_best(tested)
        with stopping_tells(resume_file):
            evaluations = {own.name: task.evaluate(tested, own, test_precision, folder) for own in test_sets}
    if is_main:
        figures = {name: task.shown(evaluation.results) for name, evaluation in evaluations.items()}
        for name, own in figures.items():
            accelerator.log({f"{name}, {figure}": value for figure, value in own.items()}, length.epochs_num)
        task.report(evaluations, folder, progress.results, records)
        logging.info(f"Finished: everything is in {folder}")
    accelerator.end_training()


def start_run(settings: TrainSettings, state: TrainingState, checkpoint: dict | None, about: dict[str, Any]) -> None:
    """Writes into the folder of the run what it is, and starts the trackers."""
    folder, flags = state.folder, kept(settings)
    runs.start_run_folder(folder)
    log_to(folder)
    logging.info(f"The folder of the run is {folder}")
    if checkpoint is not None:
        flags = runs.prolong(folder, flags, checkpoint["config"], state.config)
    runs.save_config(flags, folder)
    record = {name: value for name, value in state.record.items() if name != "targets"}
    runs.save_record(folder, kind="training", config=state.config, **record, **about)
    progress = state.progress
    start_trackers(state.accelerator, settings.run.trackers, folder, flags, progress.run_id, progress.epoch)


if __name__ == "__main__":
    run(main)
