"""Searches flags of train.py with Optuna: python -m tools.tune --search lr=1e-5:1e-3:log -- FLAGS OF train.py"""

import json
import logging
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from commons.claims import claim
from commons.errors import ArgumentError, PlacewiseError, did_you_mean, run
from commons.files import write_text
from commons.signals import StopSignal
from flags.settings import fields_of, flag_of, names_where
from flags.tools import TuneSettings, parse_tune_settings
from methods.checks import check_batches
from metrics.metric import Metric
from parser import TrainSettings, computed, parse_train_settings
from reports.curves import VALIDATION, read_metrics
from reports.tables import markdown_table, text_table
from reports.tuning import TrialResult, best_first, save_tuning_plot, tuning_table
from training import search as studies
from training.search import Dimension, import_optuna, open_study

TRAIN = Path(__file__).parents[1] / "train.py"
FLAGS = {declared.name: declared for declared in fields_of(TrainSettings)}
STATES = {"COMPLETE": "complete", "PRUNED": "stopped", "FAIL": "failed"}
POLL = 0.5  # seconds between two looks at a run
PATIENCE = 120.0  # seconds that a run has to save its state before it is killed
FAILURES = 3  # so many trials that fail in a row end the search
METRIC = "metric"


def read_space(search: Sequence[tuple[str, str]]) -> list[Dimension]:
    """Returns the search space.

    Raises:
        ArgumentError: if a name is not a flag of train.py, or its values are malformed.
    """
    space = []
    for name, text in search:
        if name not in FLAGS:
            raise ArgumentError("search", f"{name} is not a flag of train.py{did_you_mean(name, FLAGS)}")
        kind = {int: int, int | None: int, float: float, float | None: float}.get(FLAGS[name].type)
        space.append(Dimension.read(name, text, kind))
    return space


def as_arguments(chosen: Mapping[str, str]) -> list[str]:
    """Returns arguments of train.py from values by flag name.

    Raises:
        ArgumentError: if a switch is neither true nor false.
    """
    arguments = []
    for name, text in chosen.items():
        if FLAGS[name].type in (bool, bool | None):
            if text not in ("true", "false"):
                raise ArgumentError("search", f"{name} must be true or false, not {text}")
            arguments.append(f"--{name}" if text == "true" else f"--no-{name}")
        elif flag_of(FLAGS[name]).nargs:
            arguments += [f"--{name}", *text.split()]
        else:
            arguments.append(f"--{name}={text}")
    return arguments


def check_space(space: Sequence[Dimension], train: Sequence[str]) -> TrainSettings:
    """Checks flags with the parser of train.py: each value of a list and both ends of a range, with the first of the
    others.

    Returns:
        The settings of train.py with the first values.

    Raises:
        UsageError: if a value is wrong.
    """
    first = {own.name: own.ends()[0] for own in space}
    settings = parse_train_settings([*train, *as_arguments(first)])
    for own in space:
        for text in own.ends():
            check_batches(parse_train_settings([*train, *as_arguments(first | {own.name: text})]), 1)
    return settings


def shared(settings: TrainSettings, search: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Returns what all trials of a study share: the search space, and the other settings that change results."""
    names = names_where(TrainSettings, lambda flag: flag.changes_result) | {"seed"}
    without = {name for name, _ in search}
    own = {name: value for name, value in computed(settings).items() if name in names - without}
    return own | {"search": " ".join(f"{name}={text}" for name, text in search)}


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Prevents other searches from using the folder within this context."""
    own = claim(folder, parameter="output")
    try:
        yield
    finally:
        own.release()


def trial_folder(output: Path, number: int) -> Path:
    """Returns the folder of a trial's run."""
    return output / f"trial_{number:03d}"


def check_ended(folder: Path) -> None:
    """Raises PlacewiseError if a run of a killed search is still running."""
    if not folder.exists():
        return
    try:
        claim(folder).release()
    except ArgumentError as error:
        raise PlacewiseError(f"{error.message.partition(';')[0]}, which an interrupted search left: stop it") from error


def end(process: subprocess.Popen) -> None:
    """Stops a run, which saves its state first."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except BaseException as error:  # a second signal of the user does not wait
        process.kill()
        process.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise


def validations(folder: Path, after: int) -> Iterator[tuple[int, Metric, float]]:
    """Yields epoch, metric and result of a run's validations after an epoch.

    Raises:
        PlacewiseError: if the run does not write its main metric to metrics.csv.
    """
    if not (folder / "metrics.csv").is_file():
        return
    metric = Metric(**json.loads((folder / "run.json").read_text(encoding="utf-8"))["main_metric"])
    for epoch, row in read_metrics(folder / "metrics.csv").items():
        if epoch > after:
            if VALIDATION + metric.name not in row:
                raise PlacewiseError(f"{folder / 'metrics.csv'}: has no {VALIDATION}{metric.name}")
            yield epoch, metric, row[VALIDATION + metric.name]


def follow(process: subprocess.Popen, folder: Path, report: Callable[[int, Metric, float], bool]) -> bool:
    """Waits for a run to end and reports its validations. Stops the run if `report` returns True.

    Returns:
        Whether the run was stopped.
    """
    last = -1
    while True:
        ended = process.poll() is not None
        for epoch, metric, value in validations(folder, last):
            last = epoch
            if report(epoch, metric, value) and not ended:
                end(process)
                return True
        if ended:
            return False
        time.sleep(POLL)


def run_trial(study: Any, trial: Any, arguments: Sequence[str], folder: Path, epochs: int) -> None:
    """Runs train.py with the values of a trial, and writes the result to the study.

    Args:
        study: Optuna study.
        trial: its values have been drawn.
        arguments: arguments of train.py.
        folder: folder of the run.
        epochs: length of the training; a run is not stopped after the last epoch.
    """
    scores: list[float] = []

    def report(epoch: int, metric: Metric, value: float) -> bool:
        study.set_user_attr(METRIC, asdict(metric))
        if not math.isfinite(value):
            return False
        scores.append(metric.score(value))
        trial.report(scores[-1], epoch)
        logging.info(f"trial {trial.number}, epoch {epoch}: {metric.name} {value:.4g}")
        return epoch + 1 < epochs and trial.should_prune()

    with open(folder.with_suffix(".log"), "w", encoding="utf-8") as log:
        command = [sys.executable, str(TRAIN), *arguments, f"--output_folder={folder}"]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            stopped = follow(process, folder, report)
        finally:
            if process.poll() is None:
                end(process)
    failed = not stopped and (process.returncode != 0 or not scores)
    studies.end_trial(study, trial, scores, stopped, _reason(folder.with_suffix(".log")) if failed else None)


def _reason(log: Path) -> str:
    """Returns the last line that a run printed."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else "it printed nothing"


def results(study: Any) -> list[TrialResult]:
    """Returns the finished trials, without repetitions of earlier ones."""
    metric, found = metric_of(study), []
    for trial in studies.finished(study):
        if studies.SAME_AS in trial.user_attrs:
            continue
        scores = trial.intermediate_values
        epoch = max(scores, key=scores.get) if scores else 0
        result = metric.score(scores[epoch]) if scores else None  # its own inverse
        seconds = (trial.datetime_complete - trial.datetime_start).total_seconds()
        state = STATES[trial.state.name]
        found.append(TrialResult(trial.number, state, trial.params, result, epoch, len(scores), seconds))
    return found


def metric_of(study: Any) -> Metric:
    """Returns the main metric of the runs."""
    return Metric(**study.user_attrs.get(METRIC, {"name": "result"}))


def save_reports(study: Any, space: Sequence[Dimension], output: Path) -> str:
    """Writes tune.md, tune.png and best.yaml, and returns the table as text."""
    trials, metric = results(study), metric_of(study)
    table = tuning_table(trials, metric)
    write_text(output / "tune.md", markdown_table(table) + "\n")
    save_tuning_plot(trials, metric, [own.name for own in space if own.log], output / "tune.png")
    if trials and (best := best_first(trials, metric)[0]).state == "complete":
        config = trial_folder(output, best.number) / "config.yaml"
        write_text(output / "best.yaml", config.read_text(encoding="utf-8"))
    return text_table(table)


def search(study: Any, space: Sequence[Dimension], settings: TuneSettings, train: Sequence[str], epochs: int) -> None:
    """Runs trials until the study has the requested number.

    Raises:
        PlacewiseError: if several trials in a row fail.
    """
    output = Path(settings.output)
    while len(studies.finished(study)) < settings.trials:
        trial = study.ask()
        chosen = {own.name: own.suggest(trial) for own in space}
        shown = " ".join(as_arguments(chosen))
        if (earlier := studies.end_as_earlier(study, trial)) is not None:
            logging.info(f"trial {trial.number}: {shown}, as in trial {earlier}")
            continue
        logging.info(f"trial {trial.number}: {shown}")
        run_trial(study, trial, [*train, *as_arguments(chosen)], trial_folder(output, trial.number), epochs)
        ended = study.trials[trial.number]
        logging.info(
            f"trial {trial.number}: {STATES[ended.state.name]} {ended.user_attrs.get(studies.REASON, '')}".rstrip()
        )
        save_reports(study, space, output)
        last = studies.finished(study)[-FAILURES:]
        if len(last) == FAILURES and all(own.state.name == "FAIL" for own in last):
            log, reason = trial_folder(output, trial.number).with_suffix(".log"), last[-1].user_attrs[studies.REASON]
            raise PlacewiseError(f"{FAILURES} trials failed in a row, the last with: {reason} ({log})")


def main() -> None:
    """Entry point."""
    settings, train = parse_tune_settings()
    import_optuna()
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout)
    space = read_space(settings.search)
    base = check_space(space, train)
    output = Path(settings.output)
    with claimed(output):
        study = open_study(
            output / "study.db", settings.seed, settings.startup_trials, shared(base, settings.search)
        )  # fmt: skip
        for trial in studies.interrupted(study):
            check_ended(trial_folder(output, trial.number))
            logging.info(f"trial {trial.number} was interrupted and is run again")
            studies.run_again(study, trial)
        StopSignal()
        try:
            search(study, space, settings, train, base.training.epochs_num)
        except KeyboardInterrupt:
            raise PlacewiseError("stopped: run the same command again to continue the search") from None
        print(save_reports(study, space, output))
        print(f"Written: {', '.join(str(output / name) for name in ('tune.md', 'tune.png', 'best.yaml'))}")


if __name__ == "__main__":
    run(main)
