"""Reads the folders of runs: what was run, and what came out, in terms that runs of different kinds share."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from commons.errors import PlacewiseError, first_line
from metrics.metric import Metric
from reports.curves import read_metrics

CHECKPOINTS = ("best_model.pth", "last_checkpoint.pth")
BEFORE_TRAINING = ", before training"
OF_EVALUATION = " (eval.py)"
# What runs of before these were written to run.json have.
TASK, METRIC, SHOWN = "place_recognition", Metric("R@1"), ("R@1", "R@5")


@dataclass(frozen=True)
class KnownSettings:
    """What a reader of runs must know of the settings of the programs that wrote them.

    Attributes:
        without_effect: names of settings that do not change what a run computes: where it is written, how fast it is,
            what it is measured on. Runs that differ only in these and in the seed are repetitions.
        data: names of the training's data folders. Of their paths only the last parts count, which machines share.
        evaluation_defaults: defaults of settings that a training has too and that an evaluation does not take from the
            checkpoint.
        defaults: defaults of the training's settings. They complete runs of versions that did not have a setting yet.
    """

    without_effect: frozenset[str] = frozenset()
    data: tuple[str, ...] = ()
    evaluation_defaults: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A run of train.py or eval.py.

    Attributes:
        folder: where it lies.
        settings: the settings that determine the network and how it is measured. Runs with equal settings are
            repetitions.
        model: tells networks of equal settings apart: folder of the training run, and seed.
        seed: seed of the training; None where unknown.
        commit: commit of the code; "" where unknown.
        figures: results by (test set, name of the figure), such as ("sf_xs/test", "R@1"), and costs by name.
        epochs: rows of metrics.csv by epoch; empty where nothing was trained.
        validation: the test set that picked the best epoch; "" where unknown or nothing was trained.
        metric: the figure that picked the best epoch.
    """

    folder: Path
    settings: dict[str, Any]
    model: tuple[str, int | None]
    seed: int | None
    commit: str
    figures: dict[str | tuple[str, str], float]
    epochs: dict[int, dict[str, float]]
    validation: str = ""
    metric: Metric = METRIC


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Returns the run folders among `paths` and, for other folders, those one or two levels below them.

    A folder that is named must have results. One that is found below another is skipped with a warning if it has none.

    Raises:
        PlacewiseError: if a path is not a folder, or has no finished run in it.
    """
    runs: list[Path] = []
    for path in paths:
        if not path.is_dir():
            raise PlacewiseError(f"{path}: there is no such folder")
        if (path / "config.yaml").is_file() or (path / "results.json").is_file():
            found = [path]
            if not (path / "results.json").is_file():
                raise PlacewiseError(f"{path}: has no results.json: the run has not finished")
        else:
            inside = sorted(file.parent for depth in ("*", "*/*") for file in path.glob(f"{depth}/config.yaml"))
            found = [folder for folder in inside if (folder / "results.json").is_file()]
            for folder in sorted(set(inside) - set(found)):
                logging.warning(f"{folder} is skipped: it has no results.json, so the run has not finished")
            if not found:
                raise PlacewiseError(
                    f"{path}: is neither the folder of a run (config.yaml, results.json) nor a folder with runs inside"
                )
        runs += [folder for folder in found if folder not in runs]
    return runs


def read_run(folder: Path, known: KnownSettings) -> Run:
    """Reads one run. What its version of the code did not write yet is missing in `figures`.

    Args:
        folder: folder with results.json and, from newer versions, run.json.
        known: what to know of the settings.

    Raises:
        PlacewiseError: if a file is damaged.
    """
    results = _read(folder / "results.json")
    record = _read(folder / "run.json") if (folder / "run.json").is_file() else {}
    flags = _read(folder / "config.yaml") if (folder / "config.yaml").is_file() else {}
    config = record.get("config") or flags
    if "epochs_num" in config:
        config = {**known.defaults, **config}
    try:
        epochs = read_metrics(folder / "metrics.csv") if (folder / "metrics.csv").is_file() else {}
    except ValueError as error:
        raise PlacewiseError(str(error)) from error
    try:
        measured = None if "epochs_num" in flags else _measured_network(record, flags)
        metric = Metric(**record["main_metric"]) if "main_metric" in record else METRIC
        return Run(
            folder=folder,
            settings=_all_settings(record, flags, config, measured, known),
            model=(_model_name(folder, flags, measured), config.get("seed", flags.get("seed"))),
            seed=config.get("seed", flags.get("seed")),
            commit=str(record.get("environment", {}).get("git_commit", "")),
            figures=_results(results, metric, record.get("figures", SHOWN))
            | _costs(record, config)
            | _training_figures(record, epochs),
            epochs=epochs,
            validation=record.get("validation", ""),
            metric=metric,
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise PlacewiseError(
            f"{folder}: results.json, run.json or config.yaml is damaged or was not written by a run"
            f" ({first_line(error)})"
        ) from error


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PlacewiseError(f"{file}: cannot be read ({first_line(error)})") from error
    if not isinstance(content, dict):
        raise PlacewiseError(f"{file}: is damaged or was not written by a run")
    return content


def _all_settings(
    record: Mapping[str, Any],
    flags: Mapping[str, Any],
    config: Mapping[str, Any],
    measured: str | None,
    known: KnownSettings,
) -> dict[str, Any]:
    """Returns the settings of a training, or of the network that an evaluation measured and how it did."""
    settings = _settings(config, "epochs_num" in config, known)
    if "epochs_num" not in flags:
        given = record.get("settings") or {}
        if "settings" in record:  # older versions did not write them
            given = {name: value for name, value in known.evaluation_defaults.items() if name in config} | given
        settings |= _evaluation_settings(given, config, measured, known)
    return settings | {"task": record.get("task", TASK)}


def _settings(config: Mapping[str, Any], trained: bool, known: KnownSettings) -> dict[str, Any]:
    """Returns the settings that have an effect."""
    settings = {name: value for name, value in config.items() if name not in known.without_effect | {"seed"}}
    for name in known.data:
        value = settings.pop(name, None)
        if trained:
            parts = Path(value or "").parts
            settings[name] = "/".join(parts[-1:] if name == "dataset_folder" else parts[-2:]) or None
    return settings


def _evaluation_settings(
    given: Mapping[str, Any], config: Mapping[str, Any], measured: str | None, known: KnownSettings
) -> dict[str, Any]:
    """Returns the settings that make an evaluation measure otherwise than the training did at its end."""
    own = _settings(given, trained=False, known=known)
    for name in ("resume_model", "pretrained_model", "pretrained_model_file"):
        own.pop(name, None)
    as_trained = {name for name, value in own.items() if config.get(name) == value}
    if not config.get("resize_test_imgs"):
        as_trained.discard("image_size")  # train.py did not resize test images
    own = {f"{name}{OF_EVALUATION}": value for name, value in own.items() if name not in as_trained}
    if measured and " + " in measured:
        own["ensemble"] = _model_name(Path(), {}, measured)
    elif measured and "epochs_num" in config and Path(measured).name != CHECKPOINTS[0]:
        own[f"checkpoint{OF_EVALUATION}"] = Path(measured).name  # the last epoch's, a soup, an exported network
    if "epochs_num" not in config:  # a pretrained backbone, or weights from elsewhere
        own |= {"weights": Path(measured).name} if measured else {"epochs_num": 0}
    return own


def _measured_network(record: Mapping[str, Any], flags: Mapping[str, Any]) -> str | None:
    """Returns what eval.py measured: a checkpoint, a published network, or the checkpoints of an ensemble with +."""
    if record.get("checkpoints"):
        return " + ".join(record["checkpoints"])
    paths = flags.get("resume_model") or flags.get("pretrained_model")
    return " + ".join(paths) if isinstance(paths, list) else paths


def _model_name(folder: Path, flags: Mapping[str, Any], measured: str | None) -> str:
    if "epochs_num" in flags:
        return folder.resolve().name
    if not measured:
        return ""
    paths = map(Path, measured.split(" + "))
    names = (path.parent.name if path.name in CHECKPOINTS else f"{path.parent.name}/{path.name}" for path in paths)
    return " + ".join(names)


def _results(
    results: Mapping[str, Mapping[str, float]], metric: Metric, shown: Sequence[str]
) -> dict[tuple[str, str], float]:
    """Returns the figures to show of every test set, of an untrained network only where the run trained none."""
    names = list(dict.fromkeys([*shown] if metric.name in shown else [metric.name, *shown]))
    found = {}
    for name, values in results.items():
        trained = name.removesuffix(BEFORE_TRAINING)
        if trained != name and trained in results:
            continue
        figures = {(trained, figure): float(values[figure]) for figure in names if figure in values}
        found |= {key: value for key, value in figures.items() if math.isfinite(value)}
    return found


def _costs(record: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, float]:
    network = record.get("network") or {}
    dimension = network.get("descriptor_dim") or config.get("fc_output_dim")
    figures = {"dimension": dimension, "parameters": network.get("parameters"), "gflops": network.get("gflops")}
    speeds = list((record.get("images_per_second") or {}).values())
    figures["test_speed"] = sum(speeds) / len(speeds) if speeds else None
    return {name: value for name, value in figures.items() if value}


def _training_figures(record: Mapping[str, Any], epochs: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    """Images/s over all epochs, seconds of training without validation, and peak memory of a run that trained."""
    timed = [row for row in epochs.values() if math.isfinite(row.get("seconds", math.nan))]
    if not timed:
        return {}
    seconds = sum(row["seconds"] for row in timed)
    images = sum(row["seconds"] * row.get("images_per_second", math.nan) for row in timed)
    figures = {"training_seconds": seconds, "training_speed": images / seconds if seconds else math.nan}
    memory = record.get("peak_memory_gib") or {}
    if memory:
        figures["memory"] = memory.get("gpu", memory.get("cpu", math.nan))
    return {name: value for name, value in figures.items() if math.isfinite(value)}
