"""Finds a learning rate by a range test: python -m tools.lr_range -- FLAGS OF train.py"""

import logging
from pathlib import Path

from accelerate import Accelerator
from tqdm import tqdm

from commons import devices
from commons.errors import PlacewiseError, UsageError, run
from commons.logging import setup_logging
from commons.seeding import seed_everything
from datasets.train_dataset import to_device
from flags.tools import LrRangeSettings, parse_lr_range_settings
from methods.checks import check_batches
from methods.preparation import Training, prepare
from parser import TrainSettings, computed, parse_train_settings
from reports.lr_range_plot import save_lr_range_plot
from training.lr_range import RangeTest, RisingRate, analyse, diverged

LEAST = 5  # losses that a plot needs


def measure(made: Training, settings: TrainSettings, rising: RisingRate) -> tuple[list[float], list[float]]:
    """Trains for one epoch while the learning rate rises, and returns learning rates and losses.

    Stops early if the loss diverges. The last loss is left out if it is not finite.

    Args:
        made: objects to train; the weights change.
        settings: settings of train.py; an epoch has the iterations of the test.
        rising: the learning rate.
    """
    length, device = settings.training, made.updates.accelerator.device
    made.updates.schedule = rising
    network = made.updates.accelerator.prepare_model(made.trained).train()
    made.sampler.set_epoch(made.method.begin_epoch(0, device), 0, 0)
    made.extras.begin_epoch(0, 0)
    rates: list[float] = []
    losses: list[float] = []
    bar = tqdm(made.loader, "range test", length.iterations_per_epoch, unit="batch")
    for iteration, batch in enumerate(bar, 1):
        pictures, labels, failures = to_device(batch, made.size, device)
        made.unreadable.add_batch(failures, len(pictures))
        inputs = made.inputs(made.extras.images(pictures, made.augment), labels)
        with devices.autocast(device, made.precision):
            descriptors = network(*inputs)
        done = iteration / length.iterations_per_epoch
        loss = made.method.loss(descriptors[: len(labels)], labels)
        loss = loss + made.extras.loss(descriptors, len(labels), done)
        made.updates.take(loss, 0, iteration)
        rates.append(rising.rate(iteration - 1))
        losses.append(float(loss.detach()))
        bar.set_postfix_str(f"lr {rates[-1]:.1e}, loss {losses[-1]:.3f}")
        if diverged(losses):
            break
    bar.close()
    made.method.end_epoch()
    return (rates, losses) if losses[-1] < float("inf") else (rates[:-1], losses[:-1])


def range_test(own: LrRangeSettings, settings: TrainSettings, accelerator: Accelerator) -> RangeTest:
    """Builds the network and data of train.py, and tests learning rates.

    Raises:
        PlacewiseError: if the loss diverges at once.
    """
    seed_everything(settings.run.seed)
    made = prepare(settings, accelerator, None, None, computed(settings))
    rising = RisingRate(made.updates.optimizer, own.lowest, own.highest, own.iterations)
    rates, losses = measure(made, settings, rising)
    if len(rates) < LEAST:
        raise PlacewiseError(f"the loss diverges after {len(rates)} iterations: lower --lowest or --classifiers_lr")
    return analyse(rates, losses)


def main() -> None:
    """Entry point."""
    own, train = parse_lr_range_settings()
    settings = parse_train_settings([*train, f"--iterations_per_epoch={own.iterations}", "--epochs_num=1"])
    setup_logging()
    devices.keep_freed_memory()
    accelerator = devices.make_accelerator(settings.run.device)
    if accelerator.num_processes > 1:
        raise UsageError("tools.lr_range runs in one process: start it without torchrun")
    check_batches(settings, accelerator.num_processes)
    test = range_test(own, settings, accelerator)
    marks = {"steepest descent": test.steepest, "smallest loss": test.minimum}
    save_lr_range_plot(test.rates, test.losses, test.smoothed, marks, Path(own.output))
    steepest, minimum = test.rates[test.steepest], test.rates[test.minimum]
    logging.info(f"Steepest descent at {steepest:.2g}, smallest loss at {minimum:.2g}")
    if test.falls:
        logging.info(f"Suggested: --lr {test.suggested:.1e}")
    else:
        logging.info("The loss does not fall: no learning rate can be suggested; try a lower --lowest")
    logging.info(f"Written: {own.output}")


if __name__ == "__main__":
    run(main)
