"""Evaluates a network on one or more test sets: python eval.py --resume_model FILE --dataset_folder DIR [DIR ...]"""

from commons.errors import run
from parser import EvalSettings, kept, parse_eval_settings, unlike_defaults

# The imports below take seconds; --help and mistakes on the command line are answered before.
SETTINGS = run(parse_eval_settings) if __name__ == "__main__" else None

import logging
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from commons import devices, runs
from commons.compiling import check_compiler, compile_in_place
from commons.logging import log_to, setup_logging
from commons.seeding import seed_everything
from model.cost import network_cost
from tasks.adaptation import ADAPTATION_BATCH, adapt_to_folder, adaptation_records
from tasks.reporting import set_folder
from tasks.task import Task, task_of


def main(settings: EvalSettings | None = None) -> None:
    """Entry point."""
    settings = settings or SETTINGS or parse_eval_settings()
    devices.keep_freed_memory()
    accelerator = devices.make_accelerator(settings.run.device)
    if settings.run.compile:
        check_compiler(accelerator.device)
    setup_logging(quiet=not accelerator.is_main_process)
    claim = runs.claimed_run_folder(settings.run.save_dir, settings.run.output_folder)
    with claim if accelerator.is_main_process else nullcontext() as folder:
        evaluate(settings, accelerator, folder)


def evaluate(settings: EvalSettings, accelerator: Accelerator, folder: Path | None) -> None:
    """Evaluates the networks on all test sets and reports the results.

    Args:
        settings: settings of the run.
        accelerator: the processes of the run.
        folder: folder of the run; None except on the main process.
    """
    run, chosen = settings.run, settings.evaluation
    seed_everything(run.seed)
    logging.info(" ".join(sys.argv))
    task = task_of(settings.network.resume_model or ()).for_data(settings, accelerator)
    task.check_flags(unlike_defaults(settings))
    test_sets = task.read_test_sets()
    network, configs = task.load_networks()
    network = network.to(accelerator.device, memory_format=torch.channels_last)
    precision = devices.choose_precision(run.precision, accelerator.device, extracted_by=network)
    logging.info(f"Device: {accelerator.device}, precision {precision}")
    task.prepare(network, configs, test_sets)
    targets = {file: images for config in configs.values() for file, images in config.get("targets", {}).items()}
    if chosen.adapt_batch_norm:
        batches = (max(chosen.infer_batch_size, ADAPTATION_BATCH), run.num_workers)
        size = chosen.image_size or training_size(configs)
        targets |= adapt_to_folder(network, chosen.adapt_batch_norm, accelerator, *batches, size, run.seed)
    if folder is not None:
        runs.start_run_folder(folder)
        log_to(folder)
        logging.info(f"Results are written to {folder}")
        runs.save_config(kept(settings), folder)
        record = evaluation_record(settings, task, network, configs)
        runs.save_record(folder, **record, precision=precision, processes=accelerator.num_processes)
    if run.compile:
        for member in getattr(network, "members", [network]):
            compile_in_place(member)
    task.fit(network, precision, folder)
    evaluations, names = {}, [test_set.name for test_set in test_sets]
    for test_set in test_sets:
        own = folder and set_folder(folder, test_set.name, names)
        evaluations[test_set.name] = task.evaluate(network, test_set, precision, folder, own)
    if folder is not None:
        task.report(evaluations, folder, records=adaptation_records(test_sets, targets))
    accelerator.end_training()  # several processes leave their group together


def training_size(configs: Mapping[str, Mapping[str, Any]]) -> int:
    """Returns the side of the images that the first of the networks was trained with."""
    return next(iter(configs.values()), {}).get("image_size", 512)


def evaluation_record(
    settings: EvalSettings, task: Task, network: nn.Module, configs: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Returns the entries of run.json about an evaluation: the networks, and how they are evaluated."""
    config = {name: value for name, value in next(iter(configs.values()), {}).items() if name not in task.carried}
    paths = [Path(path) for path in settings.network.resume_model or ()]
    return {
        "kind": "evaluation",
        "config": config or task.network_settings(vars(settings.network)),
        "settings": unlike_defaults(settings),
        "network": network_cost(network, settings.evaluation.image_size or training_size(configs)),
        "checkpoints": [(path.parent.resolve() / path.name).as_posix() for path in paths],
        **task.record(),
    }


if __name__ == "__main__":
    run(main)
