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

import torch
from accelerate import Accelerator
from tqdm import tqdm

from commons import devices, runs
from commons.checkpoints import load_checkpoint
from commons.compiling import check_compiler
from commons.distributed import any_process, from_main, share_from_main
from commons.errors import stopped, stopping_tells
from commons.logging import log_to, setup_logging
from commons.seeding import seed_everything
from commons.signals import StopSignal
from commons.trackers import start_trackers
from datasets.train_dataset import to_device
from methods.checks import check_batches
from methods.preparation import Training, prepare
from reports.curves import save_training_curves
from training.progress import epoch_row, show_progress
from training.state import LAST


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
        settings: settings of the run.
        accelerator: the processes of the run.
        folder: folder of the run; None except on the main process.
        stop: whether the user has asked the run to stop.
    """
    run, length = settings.run, settings.training
    device, is_main, iterations = accelerator.device, accelerator.is_main_process, length.iterations_per_epoch
    seed_everything(run.seed)
    checkpoint = load_checkpoint(length.resume_train) if length.resume_train else None
    logging.info(" ".join(sys.argv))
    made = prepare(settings, accelerator, folder, checkpoint, computed(settings))
    task, method, extras, updates, state = made.task, made.method, made.extras, made.updates, made.state
    tested, sets = made.networks[-1], (made.validation, *made.test_sets)

    #### Start, or go on
    if checkpoint is not None:
        state.restore(checkpoint, length.resume_train)
        logging.info(f"Continuing with epoch {state.progress.epoch} at iteration {state.progress.iteration}")
    progress, metric = state.progress, task.main_metric
    if is_main:
        start_run(settings, made, checkpoint)
    if checkpoint is None and (length.test_untrained or length.epochs_num == 0):
        progress.results = task.evaluate_untrained(tested, sets, made.test_precision, made.start.targets)
    if checkpoint is None:
        state.save()
        if length.epochs_num == 0:
            state.save_best(tested)

    #### Training
    wrapped = accelerator.prepare_model(made.trained)
    resume_file = folder / LAST if is_main else length.resume_train or LAST
    # Asking whether another process was stopped waits for its GPU, so several GPUs ask seldom.
    several_gpus = accelerator.num_processes > 1 and device.type == "cuda"
    ask_every = settings.optimizer.accumulate * (10 if several_gpus else 1)
    for epoch in range(progress.epoch, length.epochs_num):
        if length.patience and epoch - progress.best_epoch > length.patience:
            logging.info(f"No better validation {metric.name} in {length.patience} epochs: training stops")
            break
        started, first = time.monotonic(), progress.iteration
        made.sampler.set_epoch(method.begin_epoch(epoch, device), epoch, first)
        extras.begin_epoch(epoch, first)
        wrapped.train()
        loss_sum = torch.tensor(progress.loss_sum, device=device)
        bar = tqdm(made.loader, f"epoch {epoch}", iterations, initial=first, unit="batch", disable=not is_main)
        with stop.deferred():
            for iteration, batch in enumerate(bar, first + 1):
                pictures, labels, failures = to_device(batch, made.size, device)
                made.unreadable.add_batch(failures, len(pictures))
                inputs = made.inputs(extras.images(pictures, made.augment), labels)
                with devices.autocast(device, made.precision):
                    descriptors = wrapped(*inputs)
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
            for each in made.networks:  # in one order, so that all processes send and receive the same buffers
                share_from_main(each.buffers(), accelerator)
            progress.loss_sum = float(loss_sum)
            progress.seconds += time.monotonic() - started
            state.save()
        if any_process(stop.requested, accelerator):
            raise stopped(resume_file)

        #### Validation
        with stopping_tells(resume_file):
            evaluation = task.evaluate(tested, made.validation, made.test_precision, folder)
        value = from_main(evaluation.results[metric.name] if is_main else None)
        updates.schedule.end_epoch(metric.score(value))
        if is_main:
            figures, beside = task.shown(evaluation.results), extras.means(iterations)
            rate = updates.optimizer.param_groups[-1]["lr"]
            row = epoch_row(progress, figures, beside, rate, iterations, iterations * length.batch_size)
            runs.save_metrics(progress.history, folder / "metrics.csv")
            save_training_curves(folder / "metrics.csv", folder / "training_curves.png", metric)
            accelerator.log(row, epoch)
        if metric.better(value, progress.best):
            progress.best, progress.best_epoch = value, epoch
            if is_main:
                progress.results[made.validation.name] = evaluation.results
            state.save_best(tested)
        progress.next_epoch()
        state.save()

    #### Test of the best network
    evaluations = {}
    if length.epochs_num > 0:
        state.load_best(tested)
        with stopping_tells(resume_file):
            evaluations = {own.name: task.evaluate(tested, own, made.test_precision, folder) for own in made.test_sets}
    if is_main:
        figures = {name: task.shown(evaluation.results) for name, evaluation in evaluations.items()}
        for name, own in figures.items():
            accelerator.log({f"{name}, {figure}": value for figure, value in own.items()}, length.epochs_num)
        task.report(evaluations, folder, progress.results, made.records)
        runs.save_record(folder, unreadable_training_images=len(made.unreadable))
        logging.info(f"Finished: the results are in {folder}")
    accelerator.end_training()


def start_run(settings: TrainSettings, made: Training, checkpoint: dict | None) -> None:
    """Writes the description of the run to its folder, and starts the trackers."""
    state, flags = made.state, kept(settings)
    folder, accelerator, progress = state.folder, state.accelerator, state.progress
    runs.start_run_folder(folder)
    log_to(folder)
    logging.info(f"The folder of the run is {folder}")
    if checkpoint is not None:
        flags = runs.prolong(folder, flags, checkpoint["config"], state.config)
    runs.save_config(flags, folder)
    about = {"network": made.cost, "validation": made.validation.name, "precision": made.precision}
    about |= made.task.record() | {"processes": accelerator.num_processes}
    runs.save_record(folder, kind="training", config=state.config, **about)
    start_trackers(accelerator, settings.run.trackers, folder, flags, progress.run_id, progress.epoch)


if __name__ == "__main__":
    run(main)
