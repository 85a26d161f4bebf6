"""Decoding of location embeddings: a position is encoded, and the decoder says where it was."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from accelerate import Accelerator
from torch import nn
from torch.nn.functional import normalize

from cells.base import Points
from commons import devices, runs
from commons.checkpoints import load_checkpoint
from commons.errors import ArgumentError, PlacewiseError, first_line
from commons.sphere_tensors import unit_vectors
from datasets.decoding import ImageFiles
from datasets.places import Places, make_places
from metrics.geodesic import MEAN, MEDIAN, metric_named, within
from model.location.building import build_location_encoder, read_location_encoder
from model.location.encoder import encode
from model.location.gallery import Gallery
from model.location.network import DecoderNet
from reports.tables import figures_table, markdown_table, save_results, text_table
from tasks.location_answers import (
    MAX,
    P95,
    SPEED,
    TRAINED,
    Answerer,
    choose_softmax,
    measure,
    trained,
    without_training,
)
from tasks.location_region import RegionSplit, is_table, split_region, table_positions
from tasks.reporting import all_results, save_tables
from tasks.task import StartNetwork, Task

MANY = 1_000_000  # positions of a gallery, from which an approximate search pays
BLOCK = 1 << 14  # positions that are encoded at once
HELD_OUT = 1000  # positions that tools measure with


@dataclass(frozen=True)
class Held:
    """Positions that a decoder was not trained with.

    Attributes:
        name: for reports.
        degrees: latitudes and longitudes, float64 (n, 2).
    """

    name: str
    degrees: torch.Tensor

    @property
    def tables(self) -> dict[str, Any]:
        """Nothing: there are no images."""
        return {}

    def __str__(self) -> str:
        return f"{self.name}: {len(self.degrees)} positions"


@dataclass(frozen=True)
class Decoded:
    """The evaluation of a decoder.

    Attributes:
        results: figures by name, as in results.json.
        table: a row for each position, as in predictions.parquet.
    """

    results: dict[str, Any]
    table: pa.Table


class LocationDecoding(Task):
    """Decodes the embeddings of positions of a region. There are no images: they could not be better than this."""

    name = "location_decoder"
    foreign = (
        "dataset_folder", "val_set_folder", "database_folder", "queries_folder", "layout", "protocol", "no_labels",
        "answer", "decoder", "resize_test_imgs", "infer_batch_size", "positive_dist_threshold", "index",
        "index_options", "num_preds_to_save", "save_only_wrong_preds", "image_size", "recall_values",
        "save_descriptors", "export_predictions", "vocabulary", "adapt_batch_norm",
    )  # fmt: skip

    def __init__(self, settings: Any, accelerator: Accelerator) -> None:
        super().__init__(settings, accelerator)
        self.chosen = getattr(settings, "geolocation", None)
        self.radii = self.chosen.radii if self.chosen else ()
        self.earth = self.chosen.earth if self.chosen else "sphere"
        self.main_metric = metric_named((self.chosen and self.chosen.main_metric) or MEAN, self.radii)
        self.figures = tuple(dict.fromkeys((self.main_metric.name, MEAN, MEDIAN)))
        self._split: RegionSplit | None = None
        self._embeddings: dict[str, torch.Tensor] = {}
        self._untrained: dict[str, Answerer] = {}  # ways of eval.py that need no decoder
        self._descent = False

    #### Positions

    def read_training_images(self, labelled: bool) -> Places:
        """Returns the training positions as a table without images."""
        chosen, source = self.settings.region, self._source
        points = chosen.train_points, chosen.test_points, chosen.test_points
        self._split = split_region(source, *points, self.settings.run.seed)
        counts = [len(part.latitude) for part in self._split]
        logging.info("{}: {} training positions, {} for validation, {} for the test".format(source, *counts))
        latitude, longitude = self._split.train
        names = pa.nulls(len(latitude), pa.string()).fill_null("")
        return make_places(Path(source).parent, names, latitude=latitude, longitude=longitude)

    @property
    def _source(self) -> str:
        """The polygons or the table that train.py draws positions from."""
        return self.settings.cells.polygons or self.settings.data.train_set_folder

    def read_validation_set(self) -> Held:
        """Returns the positions that select the best epoch."""
        if self._split is None:  # in tools, whose networks may have been trained with different seeds
            source = self.settings.data.val_set_folder
            if source is None or is_table(source):
                raise ArgumentError("val_set_folder", "give polygons, from which validation positions are drawn")
            return _held(source, "val", split_region(source, 1, HELD_OUT, HELD_OUT).validation)
        return _held(self._source, "val", self._split.validation)

    def read_test_sets(self) -> list[Held]:
        """Returns the test positions of train.py, or those of the regions that eval.py names."""
        if self._split is not None:
            return [_held(self._source, "test", self._split.test)]
        if not self.settings.data.test_set_folder:
            raise ArgumentError("test_set_folder", "give the polygons or the table of test positions")
        return [self._test_set(source) for source in self.settings.data.test_set_folder]

    def _test_set(self, source: str) -> Held:
        config = self._config
        own = {_resolved(file) for file in (config["polygons"], config["train_set_folder"], self.chosen.gallery)}
        if is_table(source) and _resolved(source) not in own:
            return Held(Path(source).stem, torch.from_numpy(table_positions(source)))
        return _held(source, "test", self._parts(source).test)

    @property
    def _config(self) -> Mapping[str, Any]:
        return load_checkpoint(self.settings.network.resume_model[0], mapped=True)["config"]

    def _parts(self, source: str, train: int = 1) -> RegionSplit:
        """Returns the parts of a region as the training has drawn them, with some number of the first one."""
        config = self._config
        return split_region(source, train, config["test_points"], config["test_points"], config["seed"])

    #### Networks

    def build_network(self, checkpoint: Mapping[str, Any] | None) -> StartNetwork:
        """Returns the network to train: the decoder beside its frozen encoder."""
        chosen = self.settings.location
        if checkpoint is None:
            options = read_location_encoder(chosen.location_encoder, chosen.location_encoder_options)
            encoder = build_location_encoder(chosen.location_encoder, options, chosen.encoder_weights)
        else:  # its weights come with the checkpoint
            encoder = _empty_encoder(checkpoint["config"])
        logging.info(f"Location encoder: {chosen.location_encoder}, {encoder.dim} dimensions")
        return StartNetwork(DecoderNet(encoder).to(self.accelerator.device), {}, {})

    def initialise(self, network: DecoderNet, images: Places, precision: str) -> None:
        """Turns the frame of the decoder to the region."""
        network.decoder.set_region(unit_vectors(torch.from_numpy(np.stack(images.degrees, axis=1))))

    def cache_features(
        self, network: DecoderNet, images: ImageFiles, validation: Held, augment: nn.Module, precision: str
    ) -> np.ndarray:
        """Returns the embeddings of the training positions, of unit length, float16 (1, n, d)."""
        started, degrees = time.process_time(), torch.from_numpy(np.stack(images.places.degrees, axis=1))
        found = np.empty((1, len(degrees), network.location.dim), np.float16)
        for start in range(0, len(degrees), BLOCK):
            part = encode(network.location, degrees[start : start + BLOCK])
            found[0, start : start + BLOCK] = normalize(part, dim=1).numpy()
        spent = time.process_time() - started
        logging.info(f"{len(degrees)} positions encoded in {spent:.0f} s of processor time")
        return found

    @staticmethod
    def load_network(path: str | Path) -> tuple[DecoderNet, dict[str, Any]]:
        """Rebuilds the network of a checkpoint.

        Raises:
            PlacewiseError: if the file holds no location decoder.
        """
        checkpoint = load_checkpoint(path)
        try:
            config = checkpoint["config"] | {"targets": {}}
            network = DecoderNet(_empty_encoder(config))
            network.load_state_dict(checkpoint["network"])
        except (RuntimeError, KeyError, TypeError, PlacewiseError) as error:
            raise PlacewiseError(f"{path}: not a checkpoint of a location decoder ({first_line(error)})") from error
        return network.eval(), config

    @staticmethod
    def network_settings(config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the location encoder of a configuration."""
        return {name: config[name] for name in ("location_encoder", "location_encoder_options")}

    def load_networks(self) -> tuple[DecoderNet, dict[str, dict[str, Any]]]:
        """Returns the network that eval.py evaluates."""
        paths = self.settings.network.resume_model
        if len(paths) != 1:
            raise ArgumentError("resume_model", "location decoders cannot be evaluated together; give one")
        network, config = self.load_network(paths[0])
        logging.info(f"Decoder of {config['location_encoder']}, {network.location.dim} dimensions, from {paths[0]}")
        return network, {paths[0]: config}

    def fit(self, network: DecoderNet, precision: str, folder: Path | None) -> None:
        """Encodes the gallery of eval.py, and chooses the softmax over it by validation positions."""
        self._descent, source = True, self.chosen.gallery
        if source is None:
            return
        parts, started = self._parts(source, self._config["train_points"]), time.process_time()
        degrees, validation = _tensor(parts.train), _tensor(parts.validation)
        gallery = Gallery(degrees, encode(network.location, degrees), approximate=len(degrees) >= MANY)
        logging.info(f"Gallery of {len(degrees)} positions in {time.process_time() - started:.0f} s of processor time")
        softmax = choose_softmax(gallery, encode(network.location, validation), validation)
        self._untrained = without_training(gallery, network.location, softmax)

    #### Evaluation

    def evaluate(
        self, network: DecoderNet, test_set: Held, precision: str, folder: Path | None, own_folder: Path | None = None
    ) -> Decoded | None:
        """Decodes the embeddings of positions and measures the errors, of eval.py by all ways."""
        if not self.accelerator.is_main_process:
            return None
        if test_set.name not in self._embeddings:
            self._embeddings[test_set.name] = encode(network.location, test_set.degrees)
        embeddings, truth = self._embeddings[test_set.name], test_set.degrees
        ways = trained(network.decoder, network.location if self._descent else None) | self._untrained
        measured = {name: measure(way, embeddings, truth, self.radii, self.earth) for name, way in ways.items()}
        figures, degrees, errors = measured[TRAINED]
        results: dict[str, Any] = figures | {"positions": len(truth)}
        if len(measured) > 1:
            results["answers"] = {name: own[0] for name, own in measured.items()}
        columns = {
            "latitude": truth[:, 0], "longitude": truth[:, 1],
            "predicted_latitude": degrees[:, 0], "predicted_longitude": degrees[:, 1],
        }  # fmt: skip
        table = {name: column.numpy() for name, column in columns.items()} | {"error_km": errors}
        return Decoded(results, pa.table(table))

    def table(self, results: Mapping[str, Mapping[str, Any]], what: str = "test set") -> str:
        """Returns the figures as plain text, and those of all ways that were measured."""
        parts = [figures_table(results, self._shown_names, None, what), *self._answer_tables(results)]
        return "\n\n".join(map(text_table, parts))

    @property
    def _shown_names(self) -> list[str]:
        return list(dict.fromkeys((*self.figures, P95, MAX, *map(within, self.radii))))

    def _answer_tables(self, results: Mapping[str, Mapping[str, Any]]) -> list[list[list[str]]]:
        names = [MEAN, MEDIAN, P95, MAX, SPEED]
        sets = {name: own["answers"] for name, own in results.items() if "answers" in own}
        return [figures_table(own, names, 4, f"{name}, decoder") for name, own in sets.items()]

    def report(
        self,
        evaluations: Mapping[str, Decoded],
        folder: Path,
        earlier: Mapping[str, dict] | None = None,
        records: Mapping[str, dict] | None = None,
    ) -> None:
        """Writes the figures, and the answers with their errors."""
        results = all_results(evaluations, earlier, records)
        answers = "".join(f"\n{markdown_table(table)}\n" for table in self._answer_tables(results))
        save_results(results, folder, self._shown_names, answers)
        logging.info("\n" + self.table(results))
        runs.save_record(folder, peak_memory_gib=devices.peak_memory_gib())
        save_tables(evaluations, folder)


def _held(source: str, part: str, points: Points) -> Held:
    return Held(f"{Path(source).stem}/{part}", _tensor(points))


def _tensor(points: Points) -> torch.Tensor:
    return torch.from_numpy(np.stack(points, axis=1))


def _resolved(file: str | None) -> Path | None:
    return None if file is None else Path(file).resolve()


def _empty_encoder(config: Mapping[str, Any]) -> nn.Module:
    """Returns the location encoder of a configuration with random weights."""
    options = read_location_encoder(config["location_encoder"], config["location_encoder_options"])
    return build_location_encoder(config["location_encoder"], options, seed=0)
