"""Base of the tasks with street photos and aerial images: the network, its checkpoints and the report."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from torch import nn

from commons import devices, runs
from commons.errors import ArgumentError
from datasets.decoding import ImageFiles, Size
from datasets.letterbox import Letterbox, letterbox_of
from datasets.places import Places
from model.two_towers import AerialTower, TwoTowers
from reports.tables import save_results
from tasks.cross_view_measuring import Found
from tasks.cross_view_networks import load_towers, tower_settings
from tasks.extraction import Extractor
from tasks.reporting import all_results, save_tables
from tasks.task import Task


class CrossView(Task):
    """Searches street photos among aerial images.

    Attributes:
        network: network that is trained; None in other programs.
        config: configuration of the network.
        listed: names of the figures in results.md.
        pairs: training images without tiles; None with tiles.
    """

    name = "cross_view"
    foreign = (
        "index", "index_options", "positive_dist_threshold", "recall_values", "save_descriptors", "export_predictions",
        "database_folder", "queries_folder", "layout", "no_labels", "num_preds_to_save", "save_only_wrong_preds",
        "resize_test_imgs", "adapt_batch_norm", "vocabulary",
    )  # fmt: skip
    listed: tuple[str, ...]
    pairs: Any = None

    def __init__(self, settings: Any, accelerator: Accelerator) -> None:
        super().__init__(settings, accelerator)
        self.network: TwoTowers | None = None
        training, chosen = getattr(settings, "training", None), getattr(settings, "cross_view", None)
        self.config: dict[str, Any] = vars(chosen) | {"image_size": training.image_size} if training else {}
        self.chosen = chosen
        self._sources: dict[str, ImageFiles] = {}

    @property
    def image_size(self) -> Letterbox:
        """The box into which photos are letterboxed."""
        return letterbox_of(self.config["image_size"])

    @staticmethod
    def load_network(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
        """Rebuilds the network of a checkpoint."""
        return load_towers(path)

    @staticmethod
    def network_settings(config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the architecture of both towers and the geometry of their aerial images."""
        return tower_settings(config) | {name: config[name] for name in ("metres_per_pixel", "aerial_size")}

    @staticmethod
    def parts(network: TwoTowers) -> dict[str, nn.Module]:
        """Returns the towers."""
        return {"street": network.street, "aerial": AerialTower(network)}

    def load_networks(self) -> tuple[nn.Module, dict[str, dict[str, Any]]]:
        """Returns the network that eval.py evaluates."""
        paths = self.settings.network.resume_model
        if len(paths) > 1:
            raise ArgumentError("resume_model", "must be a single network for street photos and aerial images")
        network, config = load_towers(paths[0])
        logging.info(f"Network: {config['backbone']}, {network.descriptor_dim} dimensions, from {paths[0]}")
        return network, {paths[0]: config}

    def prepare(self, network: nn.Module, configs: Mapping[str, dict], test_sets: Sequence[Any]) -> None:
        """Takes the sizes of images from the checkpoint."""
        self.config = dict(next(iter(configs.values())))
        size = getattr(self.settings.evaluation, "image_size", None)
        if size is not None:
            self.config["image_size"] = size
        logging.info("Test images: in a box of {} x {} pixels".format(*reversed(self.image_size)))

    def _extractor(self, precision: str) -> Extractor:
        sizes = self.settings.evaluation.infer_batch_size, self.settings.run.num_workers
        return Extractor(self.accelerator, precision, *sizes, self.image_size)

    @property
    def _precision(self) -> str:
        """Precision of descriptors that are extracted during training."""
        return devices.choose_precision(self.settings.run.precision, self.accelerator.device, extracted_by=self.network)

    def _extracted(self, network: nn.Module, places: Places, size: Size, what: str) -> np.ndarray:
        """Returns descriptors of training images, float32 (n, d) on all processes; NaN where decoding fails."""
        found = np.full((len(places), self.network.descriptor_dim), np.nan, np.float32)
        extractor, source = self._extractor(self._precision), ImageFiles(places, size)
        for rows, descriptors in extractor.stream(network, places, source, what):
            found[rows] = descriptors
        return found

    def report(
        self,
        evaluations: Mapping[str, Found],
        folder: Path,
        earlier: Mapping[str, dict] | None = None,
        records: Mapping[str, dict] | None = None,
    ) -> None:
        """Writes the results, the predictions, and a picture of predictions."""
        results = all_results(evaluations, earlier, records)
        save_results(results, folder, self.listed)
        logging.info("\n" + self.table(results))
        speeds = {name: own.table.num_rows / own.seconds for name, own in evaluations.items()}
        runs.save_record(folder, images_per_second=speeds, peak_memory_gib=devices.peak_memory_gib())
        for name, target in save_tables(evaluations, folder).items():
            picture = target / "predictions.jpg"
            if self.draw(evaluations[name], picture):
                logging.info(f"Photos of {name} and their cells: see {picture}")

    def draw(self, found: Found, path: Path) -> bool:
        """Draws predictions; returns whether there were any."""
        return False
