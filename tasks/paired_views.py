"""Street to aerial with pairs of images: VIGOR, CVUSA, CVACT, University-1652 (datasets.cross_view)."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from commons.checkpoints import load_checkpoint
from commons.errors import ArgumentError, PlacewiseError
from commons.files import CACHE
from datasets.cross_view.layout import TRAIN, PairedLayout, PairedSet, choose_protocol, paired_layout
from datasets.decoding import ImageFiles
from datasets.image_cache import cached_images
from datasets.places import Places
from metrics.metric import Metric
from model.two_towers import TwoTowers
from reports.tables import figures_table, text_table
from tasks.cross_view import CrossView
from tasks.cross_view_measuring import Found
from tasks.cross_view_networks import start_towers
from tasks.extraction import Extractor
from tasks.paired_measuring import CHANCE, MAIN, measure_pairs
from tasks.task import StartNetwork

TILES = ("tiles", "geojson", "reference_cells", "cell_size")


class PairedViews(CrossView):
    """Searches photos among aerial images, one of each place, or aerial images among photos.

    Attributes:
        pairs: the training images; None in other programs.
    """

    foreign = (*CrossView.foreign, *TILES)
    main_metric = Metric(MAIN)
    figures = (MAIN, "R@5", "R@10", "R@1%", "hit rate", "AP")
    listed = (*figures, CHANCE, "queries", "references")
    pairs: PairedSet | None = None

    #### Data

    def read_training_images(self, labelled: bool) -> Places:
        """Returns the photos of the training pairs."""
        data = self.settings.data
        for name in ("train_set_folder", "val_set_folder", "test_set_folder"):
            if getattr(data, name) is not None:
                raise ArgumentError(name, "is not for data sets of paired images, which have their own splits")
        for name in ("tiles", "geojson"):
            if getattr(self.chosen, name):
                raise ArgumentError(name, f"is not for {data.dataset_folder}, which has one aerial image per photo")
        self.pairs = self._read(data.dataset_folder, TRAIN)
        logging.info(str(self.pairs))
        return self.pairs.queries

    def read_validation_set(self) -> PairedSet:
        """Returns the first split that is measured."""
        layout, folder = self._layout(self.settings.data.dataset_folder)
        split, *others = layout.evaluated(folder)
        if not others:
            logging.warning(
                f"{folder}: the layout {layout.name} has no validation images, so the best epoch is chosen on the test "
                "images, as in published code"
            )
        return self._read(folder, split)

    def read_test_sets(self) -> list[PairedSet]:
        """Returns the other splits in train.py, all of all folders in eval.py."""
        data = self.settings.data
        if not isinstance(data.dataset_folder, list):
            layout, folder = self._layout(data.dataset_folder)
            return [self._read(folder, split) for split in layout.evaluated(folder)[1:]]
        if data.val_set_folder:
            raise ArgumentError("val_set_folder", "is not for data sets of paired images: use `dataset_folder`")
        found = []
        for given in (*data.dataset_folder, *data.test_set_folder):
            layout, folder = self._layout(given)
            found += [self._read(folder, split) for split in layout.evaluated(folder)]
        for pairs in found:
            logging.info(str(pairs))
        return found

    def _layout(self, given: str | Path) -> tuple[type[PairedLayout], Path]:
        layout = paired_layout(given)
        if layout is None:
            raise ArgumentError(
                "dataset_folder",
                f"{given} is not a data set of paired images; evaluate it separately, because data sets of other "
                "layouts have cells",
            )
        return layout, Path(given)

    def _read(self, given: str | Path, split: str) -> PairedSet:
        layout, folder = self._layout(given)
        protocol = choose_protocol(layout, self._protocol(layout))
        return layout.read(folder, split, protocol, folder.name if split == TRAIN else f"{folder.name}/{split}")

    def _protocol(self, layout: type[PairedLayout]) -> str | None:
        """Returns the protocol that is given, or else that of the training if the layout has it."""
        given = getattr(self.chosen, "protocol", None) or getattr(self.settings.data, "protocol", None)
        if given is None and isinstance(self.settings.data.dataset_folder, list):
            config = load_checkpoint(self.settings.network.resume_model[0], mapped=True).get("config", {})
            given = config.get("protocol") if config.get("protocol") in layout.protocols else None
        return given

    def cache_images(self, validation: PairedSet) -> None:
        """Caches the images of the validation set."""
        cache = self.settings.run.cache_images
        with self.accelerator.main_process_first():
            for which, places in validation.tables.items():
                size = self._size(validation, which)
                self._sources[f"{validation.name} {which}"] = cached_images(places, size, cache, CACHE)

    def _size(self, pairs: PairedSet, which: str) -> Any:
        above = (which == "queries") == pairs.from_above
        return [self.config["aerial_size"]] * 2 if above else self.image_size

    #### Networks

    def build_network(self, checkpoint: Mapping[str, Any] | None) -> StartNetwork:
        """Returns the network to train, which sees one aerial image of each place."""
        settings = replace(self.settings, cross_view=replace(self.chosen, levels=1))
        start = start_towers(settings, self.accelerator, None if checkpoint is None else checkpoint["config"])
        _check_levels(start.network, self.settings.data.dataset_folder)
        if self.chosen.levels != 1:
            logging.info("Aerial images: one per place, so --levels is 1")
        start = start._replace(config=start.config | {"levels": 1})
        self.network, self.config = start.network, self.config | start.config
        return start

    def prepare(self, network: nn.Module, configs: Mapping[str, dict], test_sets: Sequence[PairedSet]) -> None:
        """Takes the sizes of images from the checkpoint."""
        for pairs in test_sets:
            _check_levels(network, pairs.name)
        super().prepare(network, configs, test_sets)
        logging.info(f"Aerial images: {self.config['aerial_size']} x {self.config['aerial_size']} pixels")

    #### Extraction

    def describe_pairs(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns descriptors of training photos and of their aerial images, float32 (n, d), on all processes.

        NaN for images that cannot be decoded.
        """
        device, network = self.accelerator.device, self.network
        partners = self.pairs.positives.rows[self.pairs.positives.offsets[rows]]
        wanted, where = np.unique(partners, return_inverse=True)
        street, aerial = (
            self._extracted(part, places, self._size(self.pairs, which), f"hard examples, {which}")
            for part, places, which in (
                (network, self.pairs.queries.take(rows), "queries"),
                (SingleAerial(network), self.pairs.references.take(wanted), "references"),
            )
        )
        return torch.from_numpy(street).to(device), torch.from_numpy(aerial[where]).to(device)

    #### Evaluation

    def evaluate(
        self, network: nn.Module, test_set: PairedSet, precision: str, folder: Path | None,
        own_folder: Path | None = None,
    ) -> Found | None:  # fmt: skip
        """Searches the queries of a test set among its references."""
        started, tables = time.monotonic(), []
        for which, places in test_set.tables.items():
            size, source = self._size(test_set, which), self._sources.get(f"{test_set.name} {which}")
            above = isinstance(size, list)
            source = source or ImageFiles(places, size)
            extractor: Extractor = self._extractor(precision)
            part = SingleAerial(network) if above else network
            tables.append(extractor.table(part, places, f"{test_set.name}, {which}", source))
        if tables[0] is None:
            return None
        return measure_pairs(test_set, *tables, time.monotonic() - started)

    def shown(self, results: Mapping[str, Any]) -> dict[str, float]:
        """Returns the figures of an epoch."""
        return {name: results[name] for name in self.figures if name in results}

    def table(self, results: Mapping[str, Mapping[str, Any]], what: str = "test set") -> str:
        """Returns the main figures as plain text."""
        there = [name for name in self.listed if any(name in values for values in results.values())]
        return text_table(figures_table(results, there, None, what))


class SingleAerial(nn.Module):
    """The aerial tower of a network with one level, from images (b, 3, h, w) to descriptors (b, descriptor_dim)."""

    def __init__(self, network: TwoTowers) -> None:
        super().__init__()
        self.network, self.descriptor_dim = network, network.descriptor_dim

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the descriptors as `TwoTowers.embed_aerial` does."""
        return self.network.embed_aerial(images[:, None])


def _check_levels(network: TwoTowers, name: object) -> None:
    """Raises PlacewiseError if the network needs more aerial images than there are."""
    if network.levels != 1:
        raise PlacewiseError(
            f"the network takes {network.levels} aerial images per place, but {name} has one: train with --levels 1"
        )
