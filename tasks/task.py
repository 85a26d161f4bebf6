"""The interface of a task: what train.py, eval.py and the tools know of it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from accelerate import Accelerator
from torch import nn

from commons.checkpoints import load_checkpoint
from commons.errors import PlacewiseError
from datasets.places import Places
from metrics.metric import Metric
from model.exported import open_network
from model.formats import is_exported
from tasks import TASKS
from tasks.adaptation import adaptation_records

# Checkpoints from before there were tasks carry none.
FIRST = "place_recognition"


class StartNetwork(NamedTuple):
    """A network to train.

    Attributes:
        network: on the device.
        config: the flags that rebuild it, where they are not those of the command line but of another checkpoint.
        targets: fingerprints of the images that its weights were adapted to, by their folders.
    """

    network: nn.Module
    config: dict[str, Any]
    targets: dict[str, torch.Tensor]


class Measured(Protocol):
    """What a task finds out about a network on a test set."""

    results: dict[str, Any]  # figures by name, as in results.json


class Task(ABC):
    """What is learned: which images, which network, which measure, which report.

    Attributes:
        name: its key in TASKS.
        main_metric: the figure of a test set that picks the best epoch.
        figures: names of the figures that tables of several runs show.
        settings: of the program, with the sections `data`, `evaluation` and `run`, and in train.py all others.
        accelerator: the processes that share the work.
    """

    name: ClassVar[str]
    main_metric: ClassVar[Metric]
    figures: ClassVar[tuple[str, ...]]

    def __init__(self, settings: Any, accelerator: Accelerator) -> None:
        self.settings, self.accelerator = settings, accelerator

    @classmethod
    def record(cls) -> dict[str, Any]:
        """Returns what checkpoints and run.json say of the task."""
        return {"task": cls.name, "main_metric": asdict(cls.main_metric), "figures": list(cls.figures)}

    @abstractmethod
    def read_training_images(self, labelled: bool) -> Places:
        """Returns the training images; with `labelled` False, nothing but their names is needed."""

    @abstractmethod
    def read_validation_set(self) -> Any:
        """Returns the test set, an object with a `name`, that picks the best epoch."""

    @abstractmethod
    def read_test_sets(self) -> list[Any]:
        """Returns the test sets to evaluate on at the end of a training, or with eval.py."""

    @abstractmethod
    def build_network(self, before: Mapping[str, Any] | None) -> StartNetwork:
        """Returns the network to train.

        Args:
            before: the configuration of the run that continues; its checkpoint will overwrite the weights, so none
                need to be fetched. None at the first start.
        """

    def initialise(self, network: nn.Module, images: Places, precision: str) -> None:  # noqa: B027
        """Sets what the network learns from the training images before the first epoch."""

    def cache_images(self, validation: Any) -> None:  # noqa: B027
        """Caches the images of the validation set, where --cache_images asks for it."""

    @abstractmethod
    def evaluate(
        self, network: nn.Module, test_set: Any, precision: str, folder: Path | None, own_folder: Path | None = None
    ) -> Measured | None:
        """Evaluates a network on a test set; all processes call it.

        Args:
            network: on the device.
            test_set: one of those read.
            precision: "fp32", "bf16" or "fp16".
            folder: of the run, for temporary files; None for the system's.
            own_folder: for what is to be kept of this test set; None for nowhere.

        Returns:
            What was found on the main process, None on the others.
        """

    def evaluate_untrained(
        self, network: nn.Module, test_sets: Sequence[Any], precision: str, seen: Mapping[str, torch.Tensor]
    ) -> dict[str, dict[str, Any]]:
        """Returns results from before the training on the main process, nothing on the others; all of them call it.

        Args:
            network: to be trained.
            test_sets: to evaluate on.
            precision: "fp32", "bf16" or "fp16".
            seen: fingerprints of the images that its initial weights were adapted to, by their folders.
        """
        found = {own.name: self.evaluate(network, own, precision, None) for own in test_sets}
        if not self.accelerator.is_main_process:
            return {}
        records = adaptation_records(test_sets, seen)
        return {f"{name}, before training": own.results | records.get(name, {}) for name, own in found.items()}

    def shown(self, results: Mapping[str, Any]) -> dict[str, float]:
        """Returns the figures of a validation that the log, metrics.csv and the curves show."""
        return {name: results[name] for name in self.figures if name in results}

    @abstractmethod
    def table(self, results: Mapping[str, Mapping[str, Any]], what: str = "test set") -> str:
        """Returns figures as plain text, a row for each entry of `results`; `what` is the heading of their names."""

    @abstractmethod
    def report(
        self,
        evaluations: Mapping[str, Measured],
        folder: Path,
        earlier: Mapping[str, dict] | None = None,
        records: Mapping[str, dict] | None = None,
    ) -> None:
        """Logs and writes results.json, results.md, and whatever shows the predictions.

        Args:
            evaluations: by the names of the test sets.
            folder: of the run.
            earlier: results that come first.
            records: what else to note of a test set, by its name.
        """

    @staticmethod
    @abstractmethod
    def load_network(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
        """Rebuilds the network of a checkpoint; returns it with its configuration and `targets`."""

    @staticmethod
    @abstractmethod
    def network_settings(config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the part of a configuration that says what the network is."""

    def load_networks(self) -> tuple[nn.Module, dict[str, dict[str, Any]]]:
        """Returns the network that eval.py is to evaluate and the configuration of each checkpoint by its path."""
        raise PlacewiseError(f"eval.py does not evaluate the task {self.name} yet")

    def prepare(self, network: nn.Module, configs: Mapping[str, dict], test_sets: Sequence[Any]) -> None:  # noqa: B027
        """Checks what eval.py is to do, and decides what its flags leave open, before any image is read."""

    def fit(self, network: nn.Module, precision: str, folder: Path | None) -> None:  # noqa: B027
        """Fits to images what the evaluation needs beside the network; all processes call it."""


def task_of(paths: Iterable[str | Path]) -> type[Task]:
    """Returns the task of checkpoints or exported networks.

    Raises:
        PlacewiseError: if they are of different tasks, or of one that this version does not know.
    """
    names = {str(path): _task_name(path) for path in paths}
    if len(set(names.values())) > 1:
        both = ", ".join(f"{path} ({name})" for path, name in names.items())
        raise PlacewiseError(f"networks of different tasks cannot be evaluated together: {both}")
    name = next(iter(names.values()), FIRST)
    if name not in TASKS:
        raise PlacewiseError(f"{next(iter(names))}: is of the task {name}, which this version does not know")
    return TASKS[name]


def _task_name(path: str | Path) -> str:
    if is_exported(path):
        return open_network(path, torch.device("cpu"))[1].get("task", FIRST)
    checkpoint = load_checkpoint(path)
    config = checkpoint.get("config")
    return checkpoint.get("task") or (config.get("task") if isinstance(config, dict) else None) or FIRST
