"""The interface of a task, which train.py, eval.py and the tools use."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from commons.checkpoints import load_checkpoint
from commons.errors import ArgumentError, PlacewiseError
from datasets.decoding import ImageFiles, Size
from datasets.places import Places
from metrics.metric import Metric
from model.exported import open_network
from model.formats import is_exported
from tasks import FIRST, TASKS
from tasks.adaptation import adaptation_records


class StartNetwork(NamedTuple):
    """A network to train.

    Attributes:
        network: network on the device.
        config: the flags that rebuild it, if they come from another checkpoint instead of the command line.
        targets: fingerprints of the images that its weights were adapted to, by folder.
    """

    network: nn.Module
    config: dict[str, Any]
    targets: dict[str, torch.Tensor]


class Measured(Protocol):
    """The evaluation of a network on a test set."""

    results: dict[str, Any]  # figures by name, as in results.json


class Task(ABC):
    """What a network learns: the images, the network, the metric and the report.

    Attributes:
        name: name of the task in TASKS.
        carried: what `load_network` adds to the configuration: "targets", and the entries of checkpoints that it needs.
        foreign: flags that are for other tasks, beside those of sections that name their `tasks`.
        main_metric: metric that selects the best epoch.
        figures: names of the metrics in tables of several runs.
        settings: settings of the program with the sections `data`, `evaluation` and `run`; in train.py, all sections.
        accelerator: accelerator of the processes that share the work.
    """

    name: ClassVar[str]
    carried: ClassVar[tuple[str, ...]] = ("targets",)
    foreign: ClassVar[tuple[str, ...]] = ()
    main_metric: Metric
    figures: tuple[str, ...]

    def __init__(self, settings: Any, accelerator: Accelerator) -> None:
        self.settings, self.accelerator = settings, accelerator

    @classmethod
    def for_data(cls, settings: Any, accelerator: Accelerator) -> "Task":
        """Returns the task for the data that the settings of train.py or eval.py name."""
        return cls(settings, accelerator)

    def record(self) -> dict[str, Any]:
        """Returns the entries of checkpoints and run.json about the task."""
        return {"task": self.name, "main_metric": asdict(self.main_metric), "figures": list(self.figures)}

    @property
    def image_size(self) -> Size:
        """Size of training images: the side of squares, or a Letterbox."""
        return self.settings.training.image_size

    @abstractmethod
    def read_training_images(self, labelled: bool) -> Places:
        """Returns the training images; if `labelled` is False, only their paths are needed."""

    @abstractmethod
    def read_validation_set(self) -> Any:
        """Returns the validation set, an object with a `name`. It selects the best epoch."""

    @abstractmethod
    def read_test_sets(self) -> list[Any]:
        """Returns the test sets to evaluate on at the end of training, or with eval.py."""

    @abstractmethod
    def build_network(self, checkpoint: Mapping[str, Any] | None) -> StartNetwork:
        """Returns the network to train.

        Args:
            checkpoint: checkpoint of the run to resume. It overwrites the weights later, so no weights need to be
                downloaded. None for a new run.
        """

    def entries(self) -> dict[str, Any]:
        """Returns the entries of checkpoints, beside weights and configuration, that `load_network` needs."""
        return {}

    def initialise(self, network: nn.Module, images: Places, precision: str) -> None:  # noqa: B027
        """Initialises layers of the network from the training images before the first epoch."""

    def cache_images(self, validation: Any) -> None:  # noqa: B027
        """Caches the images of the validation set as --cache_images says."""

    def check_flags(self, given: Iterable[str]) -> None:
        """Checks the flags of eval.py that are not at their defaults.

        Raises:
            ArgumentError: if one is for another task.
        """
        sections = [own for own in vars(self.settings).values() if self.name not in getattr(own, "tasks", (self.name,))]
        foreign = {*self.foreign, *(name for section in sections for name in vars(section))}
        for name in given:
            if name in foreign:
                raise ArgumentError(name, f"is not for networks of the task {self.name}")

    def cache_features(
        self, network: nn.Module, images: ImageFiles, validation: Any, augment: nn.Module, precision: str
    ) -> np.ndarray:
        """Extracts what the frozen part of the network makes of the training images, and of the validation set.

        Returns:
            float16 (views, n, d), the input of `network.head`.
        """
        raise ArgumentError("cache_features", "is only for methods that train a head on an encoder, such as cells")

    @abstractmethod
    def evaluate(
        self, network: nn.Module, test_set: Any, precision: str, folder: Path | None, own_folder: Path | None = None
    ) -> Measured | None:
        """Evaluates a network on a test set. All processes call it.

        Args:
            network: network on the device.
            test_set: a test set that this task has read.
            precision: "fp32", "bf16" or "fp16".
            folder: folder of the run for temporary files; None for the system's temporary folder.
            own_folder: folder for files about this test set; None to write none.

        Returns:
            The evaluation on the main process, None on the others.
        """

    def evaluate_untrained(
        self, network: nn.Module, test_sets: Sequence[Any], precision: str, seen: Mapping[str, torch.Tensor]
    ) -> dict[str, dict[str, Any]]:
        """Evaluates the network before training. All processes call it.

        Args:
            network: network with its initial weights.
            test_sets: the test sets.
            precision: "fp32", "bf16" or "fp16".
            seen: fingerprints of the images that the initial weights were adapted to, by folder.

        Returns:
            The results on the main process, an empty dict on the others.
        """
        found = {own.name: self.evaluate(network, own, precision, None) for own in test_sets}
        if not self.accelerator.is_main_process:
            return {}
        records = adaptation_records(test_sets, seen)
        return {f"{name}, before training": own.results | records.get(name, {}) for name, own in found.items()}

    def shown(self, results: Mapping[str, Any]) -> dict[str, float]:
        """Returns the validation metrics for the log, metrics.csv and the curves."""
        return {name: results[name] for name in self.figures if name in results}

    @abstractmethod
    def table(self, results: Mapping[str, Mapping[str, Any]], what: str = "test set") -> str:
        """Returns results as plain text, one row per entry of `results`; `what` is the heading of the first column."""

    @abstractmethod
    def report(
        self,
        evaluations: Mapping[str, Measured],
        folder: Path,
        earlier: Mapping[str, dict] | None = None,
        records: Mapping[str, dict] | None = None,
    ) -> None:
        """Logs the results and writes results.json, results.md and files about the predictions.

        Args:
            evaluations: evaluations by the name of the test set.
            folder: folder of the run.
            earlier: results to list first.
            records: additional entries of the results, by the name of the test set.
        """

    @staticmethod
    @abstractmethod
    def load_network(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
        """Rebuilds the network of a checkpoint and returns it with its configuration, which includes `carried`."""

    @staticmethod
    @abstractmethod
    def network_settings(config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the part of a configuration that defines the network."""

    @staticmethod
    def parts(network: nn.Module) -> dict[str, nn.Module]:
        """Returns the networks that files of other formats hold, by name; none for the whole network."""
        return {}

    def load_networks(self) -> tuple[nn.Module, dict[str, dict[str, Any]]]:
        """Returns the network that eval.py evaluates and the configuration of each checkpoint by its path."""
        raise PlacewiseError(f"eval.py cannot evaluate the task {self.name}")

    def prepare(self, network: nn.Module, configs: Mapping[str, dict], test_sets: Sequence[Any]) -> None:  # noqa: B027
        """Checks the settings of eval.py and chooses those that its flags leave open, before any image is read."""

    def fit(self, network: nn.Module, precision: str, folder: Path | None) -> None:  # noqa: B027
        """Fits parts of the evaluation other than the network to images. All processes call it."""


def task_of(paths: Iterable[str | Path]) -> type[Task]:
    """Returns the task of checkpoints or exported networks.

    Raises:
        PlacewiseError: if their tasks differ, or this version does not know the task.
    """
    names = {str(path): _task_name(path) for path in paths}
    if len(set(names.values())) > 1:
        both = ", ".join(f"{path} ({name})" for path, name in names.items())
        raise PlacewiseError(f"networks of different tasks cannot be evaluated together: {both}")
    name = next(iter(names.values()), FIRST)
    if name not in TASKS:
        raise PlacewiseError(f"{next(iter(names))}: its task {name} is unknown in this version")
    return TASKS[name]


def _task_name(path: str | Path) -> str:
    if is_exported(path):
        return open_network(path, torch.device("cpu"))[1].get("task", FIRST)
    checkpoint = load_checkpoint(path, mapped=True)
    config = checkpoint.get("config")
    return checkpoint.get("task") or (config.get("task") if isinstance(config, dict) else None) or FIRST
