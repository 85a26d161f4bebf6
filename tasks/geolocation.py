"""Geolocation: where on earth a photo was taken, by classification over cells."""

import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from accelerate import Accelerator
from torch import nn

from cells.partition import Partition
from commons import devices, runs
from commons.checkpoints import load_checkpoint
from commons.errors import ArgumentError, PlacewiseError
from commons.files import CACHE
from datasets.decoding import ImageFiles, Size
from datasets.geotagged import GeoPhotos, find_splits, read_geotagged, read_split
from datasets.image_cache import cached_images
from datasets.places import Places
from demo.write import demo_or_folder
from metrics.geodesic import RADII_KM, metric_named, within
from metrics.metric import Metric
from model.cell_network import CellNet
from model.network import network_settings
from reports.tables import figures_table, markdown_table, save_results, text_table
from retrieval.table import DescriptorTable
from tasks.cached_features import cached_features
from tasks.cell_answers import RETRIEVAL, CellAnswers
from tasks.cell_gallery import Gallery
from tasks.cell_networks import ENTRIES, build_cell_network, heads_for, load_cell_network, load_cell_networks
from tasks.cell_partitions import from_text, geometry_of, make_partition, offset_loss, to_text
from tasks.extraction import Extractor
from tasks.geo_photos import geo_set, held_out, label_columns
from tasks.geo_reports import answer_tables, figure_names, heat_maps, save_report
from tasks.geolocating import GeoSet, Located, Measure
from tasks.networks import choose_shorter_side, size_text, start_aggregation
from tasks.references import from_text as references_from_text
from tasks.references import make_references
from tasks.references import to_text as references_to_text
from tasks.reporting import all_results, save_tables
from tasks.task import StartNetwork, Task

BEST_OF = 5  # cells in which the answer `retrieval` looks for photos


class Geolocation(Task):
    """Answers the position of a photo from its cell.

    Attributes:
        partition: the cells; None before the training photos or a network are read.
        shorter_side: size of the shorter side of test images, or their height and width; None to keep their size.
    """

    name = "geolocation"
    foreign = (
        "index", "positive_dist_threshold", "recall_values", "save_descriptors", "export_predictions",
        "database_folder", "queries_folder", "layout", "protocol", "no_labels", "num_preds_to_save",
        "save_only_wrong_preds", "first_dimensions",
    )  # fmt: skip
    carried = ("targets", *ENTRIES)
    main_metric = Metric(within(25))
    default_answer = "best"
    figures: tuple[str, ...] = (within(25), "median km")

    def __init__(self, settings: Any, accelerator: Accelerator) -> None:
        super().__init__(settings, accelerator)
        training = getattr(settings, "training", None)
        self.shorter_side: Size = training.image_size if training and settings.evaluation.resize_test_imgs else None
        self.chosen = getattr(settings, "geolocation", None)
        self.radii = self.chosen.radii if self.chosen else RADII_KM
        self.partition: Partition | None = None
        self.references: pa.Table | None = None
        self.config: Mapping[str, Any] = {}
        self._sources: dict[str, Any] = {}
        self._held_out: GeoPhotos | None = None
        self._gallery: Gallery | None = None
        self._network: nn.Module | None = None
        self._features: dict[str, DescriptorTable | None] = {}  # of sets whose descriptors are extracted
        if self.chosen and self.chosen.main_metric:
            self._choose_metric(self.chosen.main_metric)

    def _choose_metric(self, name: str) -> None:
        self.main_metric = metric_named(name, self.radii)
        self.figures = tuple(dict.fromkeys((name, "median km" if name != "median km" else within(25))))

    def read_training_images(self, labelled: bool) -> Places:
        """Returns the training photos that have a position and a cell."""
        data, chosen = self.settings.data, self.settings.cells
        photos = self._photos(data.train_set_folder, data.dataset_folder, "train")
        if chosen.split_by is not None:
            photos, self._held_out = held_out(photos, chosen.split_by, chosen.val_share, self.settings.run.seed)
        located = photos.places.located
        if not located.all():
            logging.warning(f"{(~located).sum()} of {len(photos)} training photos have no position and are left out")
            photos = photos.take(np.flatnonzero(located))
        degrees = photos.places.degrees
        if self.settings.training.resume_train:  # another version of a library may build other cells
            checkpoint = load_checkpoint(self.settings.training.resume_train, mapped=True)
            self.partition = from_text(checkpoint["partition"])
        else:
            with self.accelerator.main_process_first():
                self.partition = make_partition(chosen, *degrees, self._folder(data.dataset_folder))
        self.references = make_references(*degrees, label_columns(photos))
        inside = self.partition.assign(*degrees)[:, -1] >= 0
        if not inside.any():
            raise PlacewiseError(f"none of the {len(photos)} training photos is in a cell: build other cells")
        if not inside.all():
            logging.warning(f"{(~inside).sum()} of {len(photos)} training photos are in no cell and are left out")
        return photos.places if inside.all() else photos.places.take(np.flatnonzero(inside))

    def read_validation_set(self) -> GeoSet:
        """Returns the validation set."""
        data = self.settings.data
        if self._held_out is not None:
            return geo_set("validation", self._held_out)
        if data.val_set_folder is None and "val" not in self._splits(data.dataset_folder):
            raise ArgumentError(
                "val_set_folder",
                "there is no validation set: give one, or split it from the training photos with `split_by`",
            )
        return self._set(data.val_set_folder, data.dataset_folder, "val")

    def read_test_sets(self) -> list[GeoSet]:
        """Returns the test sets of train.py (there may be none) or of eval.py."""
        data = self.settings.data
        if isinstance(data.dataset_folder, list):
            return [self._set(*source) for source in self._evaluated(data)]
        if data.test_set_folder is None and "test" not in self._splits(data.dataset_folder):
            logging.info("No test set: use --test_set_folder, or evaluate best_model.pth with eval.py later")
            return []
        return [self._set(data.test_set_folder, data.dataset_folder, "test")]

    def _evaluated(self, data: Any) -> Iterator[tuple[str | None, str | None, str]]:
        """Yields what eval.py measures: photos by their own name, or a split of a folder."""
        for given in filter(None, (data.val_set_folder, *data.test_set_folder)):
            yield given, None, ""
        for folder in data.dataset_folder:
            splits = [split for split in ("val", "test") if split in self._splits(folder)]
            yield from ((None, folder, split) for split in splits)
            if not splits:
                yield folder, None, ""

    def _set(self, given: str | None, folder: str | None, split: str) -> GeoSet:
        name = Path(given).stem if given else f"{Path(folder).name}/{split}"
        return geo_set(name, self._photos(given, folder, split))

    def _photos(self, given: str | None, folder: str | None, split: str) -> GeoPhotos:
        if given is None and folder is None:
            raise ArgumentError("dataset_folder", "there are no photos: give a folder or a table")
        with self.accelerator.main_process_first():
            return read_geotagged(given) if given else read_split(self._folder(folder), split)

    def _splits(self, folder: str | None) -> Collection[str]:
        return () if folder is None else find_splits(Path(self._folder(folder)))

    def _folder(self, name: str | None) -> str | None:
        with self.accelerator.main_process_first():
            return demo_or_folder(name, CACHE)

    def cache_images(self, validation: GeoSet) -> None:
        """Caches the photos of the validation set."""
        with self.accelerator.main_process_first():
            cached = cached_images(validation.images, self.shorter_side, self.settings.run.cache_images, CACHE)
            self._sources[validation.name] = cached

    #### Networks

    def build_network(self, checkpoint: Mapping[str, Any] | None) -> StartNetwork:
        """Returns the network to train."""
        before = None if checkpoint is None else checkpoint["config"]
        start = build_cell_network(self.settings, self.partition, self.accelerator, before)
        self.config = vars(self.settings.cells)
        return start

    def entries(self) -> dict[str, Any]:
        """Returns the cells, and positions with labels."""
        found = {"partition": to_text(self.partition)}
        return found if self.references is None else found | {"references": references_to_text(self.references)}

    def initialise(self, network: nn.Module, images: Places, precision: str) -> None:
        """Initialises the aggregation layer of the encoder from training images."""
        start_aggregation(network.encoder, self.settings, images, self.accelerator, precision)

    def cache_features(
        self, network: nn.Module, images: ImageFiles, validation: GeoSet, augment: nn.Module, precision: str
    ) -> np.ndarray:
        """Extracts the descriptors of the training images and of the validation set."""
        run, extractor = self.settings.run, self._extractor(precision)
        features = cached_features(
            network.encoder, images, extractor, augment, run.cached_views, run.seed, run.cache_features
        )
        source = self._sources[validation.name]
        table = extractor.table(network.encoder, validation.images, "features, validation", source)
        self._features = {validation.name: table}
        return features

    @staticmethod
    def load_network(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
        """Rebuilds the network of a checkpoint."""
        return load_cell_network(path)

    @staticmethod
    def network_settings(config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the backbone, the aggregation layer and the losses of a configuration."""
        return network_settings(config) | {"cell_loss": config["cell_loss"]}

    def load_networks(self) -> tuple[nn.Module, dict[str, dict[str, Any]]]:
        """Returns the network or the mean of networks that eval.py evaluates."""
        return load_cell_networks(self.settings.network.resume_model, self.accelerator.device)

    def prepare(self, network: nn.Module, configs: Mapping[str, dict], test_sets: Sequence[GeoSet]) -> None:
        """Takes cells, labels, metric and size of images from the checkpoint."""
        evaluation, self.config = self.settings.evaluation, next(iter(configs.values()))
        self.shorter_side = choose_shorter_side(evaluation.image_size, evaluation.resize_test_imgs, configs)
        logging.info(f"Test images: {size_text(self.shorter_side)}")
        self.partition = from_text(self.config["partition"])
        if "references" in self.config:
            self.references = references_from_text(self.config["references"])
        if self.config.get("main_metric") and not (self.chosen and self.chosen.main_metric):
            self._choose_metric(self.config["main_metric"])
        self._check_gallery(network)

    def _check_gallery(self, network: nn.Module) -> None:
        if self._answer == RETRIEVAL and not self._gallery_named:
            raise ArgumentError(
                "answer", "retrieval needs `gallery`, photos with positions such as the training photos"
            )
        if self._gallery_named and not isinstance(network, CellNet):
            raise ArgumentError(
                "gallery", "needs the checkpoint of one network, not an ensemble or an exported network"
            )

    def fit(self, network: nn.Module, precision: str, folder: Path | None) -> None:
        """Extracts the descriptors of the gallery."""
        if self._gallery_named:
            photos = read_geotagged(self.chosen.gallery)
            places = photos.places.take(np.flatnonzero(photos.places.located))
            table = self._extractor(precision).table(network.encoder, places, "gallery")
            self._gallery = None if table is None else Gallery.of(places, table, self.partition)

    @property
    def _gallery_named(self) -> bool:
        return bool(getattr(self.chosen, "gallery", None))

    @property
    def _answer(self) -> str:
        return (self.chosen.answer if self.chosen else None) or self.default_answer

    def _extractor(self, precision: str) -> Extractor:
        sizes = self.settings.evaluation.infer_batch_size, self.settings.run.num_workers
        return Extractor(self.accelerator, precision, *sizes, self.shorter_side)

    #### Evaluation

    def evaluate(
        self, network: nn.Module, test_set: GeoSet, precision: str, folder: Path | None, own_folder: Path | None = None
    ) -> Located | None:
        """Answers the positions of a set of photos and measures them."""
        started, self._network = time.monotonic(), network
        answers = self._answers(network).to(self.accelerator.device)
        if test_set.name in self._features:
            table = self._features[test_set.name]
            rows = None if table is None else answers.of_descriptors(torch.from_numpy(table.vectors))
        else:
            source = self._sources.get(test_set.name)
            table = self._extractor(precision).table(answers, test_set.images, test_set.name, source)
            rows = None if table is None else torch.from_numpy(table.vectors)
        if table is None:
            return None
        answered = answers.read(rows)
        if self._gallery is not None:
            answered = self._gallery.answer(answered, BEST_OF, self.accelerator.device)
        if self._answer not in answered.points:
            raise ArgumentError(
                "answer", f"{self._answer} is not possible with this network: choose from {', '.join(answered.points)}"
            )
        earth = self.chosen.earth if self.chosen else "sphere"
        measure = Measure(self.partition, self.references, self._answer, self.radii, earth)
        return measure.figures(test_set, table.rows, answered, time.monotonic() - started)

    def _answers(self, network: nn.Module) -> nn.Module:
        """Returns what maps images to answers."""
        heads = heads_for(self.partition, self.config["cell_loss"])
        geometry = geometry_of(self.partition)
        offset = offset_loss(geometry, self.config) if heads.offsets else None
        return CellAnswers(network, heads, geometry, offset, BEST_OF, self._gallery_named)

    def shown(self, results: Mapping[str, Any]) -> dict[str, float]:
        """Returns the figures of an epoch."""
        names = dict.fromkeys((self.main_metric.name, *map(within, self.radii), "median km", "cell top-1"))
        return {name: results[name] for name in names if name in results}

    def table(self, results: Mapping[str, Mapping[str, Any]], what: str = "test set") -> str:
        """Returns the figures as plain text, and those of all ways to answer."""
        parts = [text_table(figures_table(results, figure_names(results, self.radii), None, what))]
        return "\n\n".join([*parts, *map(text_table, answer_tables(results, self.radii))])

    def report(
        self,
        evaluations: Mapping[str, Located],
        folder: Path,
        earlier: Mapping[str, dict] | None = None,
        records: Mapping[str, dict] | None = None,
    ) -> None:
        """Writes the figures, the predictions, and pages with maps and pictures."""
        results = all_results(evaluations, earlier, records)
        answers = "".join(f"\n{markdown_table(table)}\n" for table in answer_tables(results, self.radii))
        save_results(results, folder, figure_names(results, self.radii), answers)
        logging.info("\n" + self.table(results))
        speeds = {name: own.table.num_rows / own.seconds for name, own in evaluations.items()}
        runs.save_record(folder, images_per_second=speeds, peak_memory_gib=devices.peak_memory_gib())
        for name, target in save_tables(evaluations, folder).items():
            own = evaluations[name]
            heat = heat_maps(self._network, own.images, own.table, self.shorter_side)
            save_report(target, name, own.table, own.images.folder, self.partition, own.results, self.radii, heat)
            logging.info(f"Map and pictures of {name}: see {target / 'report.html'}")
