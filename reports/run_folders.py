"""Reads the folders of runs: what was run, and what came out, in terms that runs of different kinds share."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from commons.errors import PlacewiseError, first_line
from reports.curves import read_metrics

# Flags that say where, how fast and how talkatively a run goes, or what it is measured on, but not what it computes.
WITHOUT_EFFECT = {
    "seed", "output_folder", "save_dir", "config", "resume_train", "device", "num_workers", "cache_images", "decode",
    "infer_batch_size", "num_preds_to_save", "save_only_wrong_preds", "save_descriptors", "test_untrained",
    "test_set_folder", "queries_folder", "trackers",
}  # fmt: skip
TRAINING_DATA = ("dataset_folder", "train_set_folder", "val_set_folder")
CHECKPOINTS = ("best_model.pth", "last_checkpoint.pth")
BEFORE_TRAINING = ", before training"
OF_EVALUATION = " (eval.py)"
# Flags of both scripts whose defaults a training may have left: eval.py does not take them from the checkpoint.
EVALUATION_DEFAULTS = {"positive_dist_threshold": 25.0, "index": "flat", "precision": "auto"}


@dataclass(frozen=True)
class Run:
    """A run of train.py or eval.py.

    Attributes:
        folder: where it lies.
        settings: flags that say what the network is; runs with equal settings are repetitions.
        model: tells networks of equal settings apart: folder of the training run, and seed.
        seed: of the training; None where unknown.
        commit: of the code; "" where unknown.
        figures: what was measured, by name; recalls by (test set, "R@1").
        epochs: rows of metrics.csv by epoch; empty where nothing was trained.
        validation: the test set that chose the best epoch; "" where unknown or nothing was trained.
    """

    folder: Path
    settings: dict[str, Any]
    model: tuple[str, int | None]
    seed: int | None
    commit: str
    figures: dict[str | tuple[str, str], float]
    epochs: dict[int, dict[str, float]]
    validation: str = ""


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Returns the run folders among `paths` and, for other folders, those one or two levels below them.

    A folder that is named must have results; one that is found below another is left out with a warning if it has none.

    Raises:
        PlacewiseError: if a path is no folder, or there is no finished run in it.
    """
    runs: list[Path] = []
    for path in paths:
        if not path.is_dir():
            raise PlacewiseError(f"{path}: there is no such folder")
        if (path / "config.yaml").is_file() or (path / "results.json").is_file():
            found = [path]
            if not (path / "results.json").is_file():
                raise PlacewiseError(f"{path}: has no results.json; the run has not come to its end")
        else:
            inside = sorted(file.parent for depth in ("*", "*/*") for file in path.glob(f"{depth}/config.yaml"))
            found = [folder for folder in inside if (folder / "results.json").is_file()]
            for folder in sorted(set(inside) - set(found)):
                logging.warning(f"{folder} is left out: it has no results.json, so the run has not come to its end")
            if not found:
                raise PlacewiseError(f"{path}: neither a run's folder (config.yaml, results.json) nor a folder of such")
        runs += [folder for folder in found if folder not in runs]
    return runs


def read_run(folder: Path, defaults: Mapping[str, Any] | None = None) -> Run:
    """Reads one run. What its version of the code did not write yet is missing in `figures`.

    Args:
        folder: with results.json and, from newer versions, run.json.
        defaults: values of train.py's flags that the run's version did not have.

    Raises:
        PlacewiseError: if a file is damaged.
    """
    results = _read(folder / "results.json")
    record = _read(folder / "run.json") if (folder / "run.json").is_file() else {}
    flags = _read(folder / "config.yaml") if (folder / "config.yaml").is_file() else {}
    config = record.get("config") or flags
    trained = "epochs_num" in config
    if trained and defaults:
        config = {**defaults, **config}
    try:
        epochs = read_metrics(folder / "metrics.csv") if (folder / "metrics.csv").is_file() else {}
    except ValueError as error:
        raise PlacewiseError(str(error)) from error
    try:
        settings = _settings(config, trained)
        checkpoint = None
        if "epochs_num" not in flags:
            checkpoint = " + ".join(record.get("checkpoints") or ()) or _checkpoint(flags)
            given = record.get("settings") or {}
            if "settings" in record:  # older versions did not write them
                given = {name: value for name, value in EVALUATION_DEFAULTS.items() if name in config} | given
            settings |= _evaluation_settings(given, config, checkpoint)
        figures = _recalls(results) | _costs(record, config) | _training_figures(record, epochs)
        commit = str(record.get("environment", {}).get("git_commit", ""))
    except (AttributeError, TypeError, ValueError) as error:
        raise PlacewiseError(
            f"{folder}: results.json, run.json or config.yaml is not what a run writes ({first_line(error)})"
        ) from error
    seed = config.get("seed", flags.get("seed"))
    model = (_model_name(folder, flags, checkpoint), seed)
    return Run(folder, settings, model, seed, commit, figures, epochs, record.get("validation", ""))


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PlacewiseError(f"{file}: cannot be read ({first_line(error)})") from error
    if not isinstance(content, dict):
        raise PlacewiseError(f"{file}: is not what a run writes")
    return content


def _settings(config: Mapping[str, Any], trained: bool) -> dict[str, Any]:
    """The flags that matter; of data sets only the folders' names, which machines share."""
    settings = {name: value for name, value in config.items() if name not in WITHOUT_EFFECT}
    for name in TRAINING_DATA:
        value = settings.pop(name, None)
        if trained:
            parts = Path(value or "").parts
            settings[name] = "/".join(parts[-1:] if name == "dataset_folder" else parts[-2:]) or None
    return settings


def _evaluation_settings(given: Mapping[str, Any], config: Mapping[str, Any], checkpoint: str | None) -> dict[str, Any]:
    """Flags of eval.py that make it measure otherwise than train.py did at its end."""
    own = _settings(given, trained=False)
    for name in ("resume_model", "pretrained_model", "pretrained_model_file"):
        own.pop(name, None)
    as_trained = {name for name, value in own.items() if config.get(name) == value}
    if not config.get("resize_test_imgs"):
        as_trained.discard("image_size")  # train.py left test images as they are
    own = {f"{name}{OF_EVALUATION}": value for name, value in own.items() if name not in as_trained}
    if checkpoint and " + " in checkpoint:
        own["ensemble"] = _model_name(Path(), {}, checkpoint)
    elif checkpoint and "epochs_num" in config and Path(checkpoint).name != CHECKPOINTS[0]:
        own[f"checkpoint{OF_EVALUATION}"] = Path(checkpoint).name  # the last epoch's, a soup, an exported network
    if "epochs_num" not in config:  # a pretrained backbone, or weights from elsewhere
        own |= {"weights": Path(checkpoint).name} if checkpoint else {"epochs_num": 0}
    return own


def _checkpoint(flags: Mapping[str, Any]) -> str | None:
    """What eval.py measured: a checkpoint, a published network, or the checkpoints of an ensemble with + between."""
    paths = flags.get("resume_model") or flags.get("pretrained_model")
    return " + ".join(paths) if isinstance(paths, list) else paths


def _model_name(folder: Path, flags: Mapping[str, Any], checkpoint: str | None) -> str:
    if "epochs_num" in flags:
        return folder.resolve().name
    if not checkpoint:
        return ""
    paths = map(Path, checkpoint.split(" + "))
    names = (path.parent.name if path.name in CHECKPOINTS else f"{path.parent.name}/{path.name}" for path in paths)
    return " + ".join(names)


def _recalls(results: Mapping[str, Mapping[str, float]]) -> dict[tuple[str, str], float]:
    """R@1 and R@5 of every test set, of an untrained network only where the run trained none."""
    found = {}
    for name, values in results.items():
        trained = name.removesuffix(BEFORE_TRAINING)
        if trained != name and trained in results:
            continue
        found |= {(trained, recall): float(values[recall]) for recall in ("R@1", "R@5") if recall in values}
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
