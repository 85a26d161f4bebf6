"""A task that train.py, eval.py and the tools do not know: the brightness of a photo. Its metric is an error."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from commons.checkpoints import load_checkpoint
from commons.distributed import share_from_main
from datasets.decoding import ImageFiles
from datasets.places import Places
from datasets.reading import read_images
from datasets.unlabelled import ImageSampler
from methods import METHODS
from metrics.metric import Metric
from reports.tables import figures_table, save_results, text_table
from tasks import TASKS
from tasks.task import StartNetwork, Task


class Meter(nn.Module):
    """Maps images to a number each."""

    descriptor_dim = 1

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scale = 255 if images.dtype == torch.uint8 else 1
        return self.layer(images.float().mean(dim=(2, 3)) / scale)


@dataclass(frozen=True)
class Photos:
    """A test set of this task."""

    name: str
    images: Places

    @property
    def tables(self) -> dict[str, Places]:
        return {"photos": self.images}


@dataclass(frozen=True)
class Found:
    results: dict[str, Any]


def brightness(images: Places) -> np.ndarray:
    """The mean of all values of each image, between 0 and 1."""
    files = ImageFiles(images, None)
    return np.array([files.read(row).float().mean() / 255 for row in range(len(images))])


class Brightness(Task):
    """The brightness of photos."""

    name = "brightness"
    main_metric = Metric("mean error", higher_is_better=False)
    figures = ("mean error", "worst error")

    def read_training_images(self, labelled: bool) -> Places:
        return read_images(Path(self.settings.data.dataset_folder) / "train")

    def read_validation_set(self) -> Photos:
        return Photos("photos/val", read_images(Path(self.settings.data.dataset_folder) / "val" / "queries"))

    def read_test_sets(self) -> list[Photos]:
        folder = self.settings.data.dataset_folder
        folder = folder[0] if isinstance(folder, list) else folder
        return [Photos("photos/test", read_images(Path(folder) / "test" / "queries"))]

    def build_network(self, checkpoint: Mapping[str, Any] | None) -> StartNetwork:
        return StartNetwork(Meter().to(self.accelerator.device), {}, {})

    def evaluate(
        self, network: nn.Module, test_set: Photos, precision: str, folder: Path | None, own_folder: Path | None = None
    ) -> Found | None:
        share_from_main(network.parameters(), self.accelerator)
        files = ImageFiles(test_set.images, None)
        with torch.inference_mode():
            given = torch.cat([network.eval()(files.read(row)[None]) for row in range(len(test_set.images))])
        errors = np.abs(given.squeeze(1).numpy() - brightness(test_set.images))
        return Found({"mean error": float(errors.mean()), "worst error": float(errors.max())})

    def table(self, results: Mapping[str, Mapping[str, Any]], what: str = "test set") -> str:
        return text_table(figures_table(results, self.figures, 3, what))

    def report(
        self,
        evaluations: Mapping[str, Found],
        folder: Path,
        earlier: Mapping[str, dict] | None = None,
        records: Mapping[str, dict] | None = None,
    ) -> None:
        results = dict(earlier or {}) | {name: found.results for name, found in evaluations.items()}
        save_results(results, folder, names=self.figures)
        (folder / "brightness.txt").write_text(self.table(results), encoding="utf-8")

    @staticmethod
    def load_network(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
        checkpoint, network = load_checkpoint(path), Meter()
        network.load_state_dict(checkpoint["network"])
        return network, checkpoint["config"] | {"targets": {}}

    @staticmethod
    def network_settings(config: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def load_networks(self) -> tuple[nn.Module, dict[str, dict[str, Any]]]:
        (path,) = self.settings.network.resume_model
        network, config = self.load_network(path)
        return network, {path: config}


class Regression:
    """Fits the brightness of the images (https://arxiv.org/abs/0000.00000)."""

    task = "brightness"
    labelled = own_loss = True
    losses: dict[str, type[nn.Module]] = {}
    defaults: dict[str, object] = {"batch_size": 4, "augmentations": []}
    conflicts: dict[str, str] = {}

    def __init__(self, images: Places) -> None:
        self.wanted, self.images = torch.tensor(brightness(images)).float(), len(images)
        self.parameters: list[nn.Parameter] = []
        self.optimizers: list[torch.optim.Optimizer] = []

    @classmethod
    def build(cls, settings: Any, images: Places, descriptor_dim: int, task: Any) -> "Regression":
        return cls(images)

    @staticmethod
    def check(batch_size: int, processes: int = 1) -> None:
        """Takes any batch."""

    def sampler(self, batch_size: int, iterations: int, seed: int, rank: int = 0, processes: int = 1) -> ImageSampler:
        return ImageSampler(self.images, batch_size, iterations, seed, rank, processes)

    def begin_epoch(self, epoch: int, device: torch.device) -> list:
        return []

    def end_epoch(self) -> None:
        """Does nothing."""

    def loss(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return ((descriptors.squeeze(1) - self.wanted[labels]) ** 2).mean()

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Has no state."""


TASKS["brightness"] = Brightness
METHODS["brightness"] = Regression
