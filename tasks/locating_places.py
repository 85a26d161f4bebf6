"""Positions of photos from networks of place recognition and a database."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from commons.errors import ArgumentError, PlacewiseError, first_line
from commons.files import CACHE
from datasets.decoding import ImageFiles
from datasets.places import Places
from datasets.reading import read_places
from datasets.test_dataset import TestSet
from metrics.calibration import Calibration, from_record
from retrieval.database import is_database
from retrieval.engine import Engine
from retrieval.table import DescriptorTable
from tasks.databases import open_database
from tasks.evaluation import evaluate
from tasks.locating import Locator, LocatorOptions, Positions
from tasks.measuring import Evaluation
from tasks.networks import choose_shorter_side, open_networks
from tasks.signals import measures_of


@dataclass
class PlaceLocator(Locator):
    """Answers the positions of the most similar images of a database, whose descriptors are extracted once."""

    database: Places = field(init=False)
    calibration: Calibration | None = field(init=False, default=None)
    index: Engine = field(init=False)
    _tables: list[DescriptorTable | None] = field(init=False, default_factory=list)

    @classmethod
    def open(cls, paths: Sequence[str], accelerator: Accelerator, options: LocatorOptions) -> "PlaceLocator":
        """Opens checkpoints or exported networks; several form an ensemble."""
        for name in ("answer", "decoder"):
            if getattr(options, name) is not None:
                raise ArgumentError(name, "is for geolocation networks; this one retrieves images of a database")
        if options.database is None:
            raise ArgumentError("database", "is missing: a folder of images of known places, for place recognition")
        network, configs = open_networks(paths, accelerator.device)
        made = cls(network.to(accelerator.device, memory_format=torch.channels_last), configs, accelerator, options)
        made.shorter_side = choose_shorter_side(options.image_size, None, configs)
        made._open_database(options.database)
        made.calibration = None if options.calibration is None else read_calibration(options.calibration)
        return made

    def _open_database(self, folder: str) -> None:
        """Reads the images of a folder, or what a database of tools.build_database holds of them."""
        self.index = self.options.index or Engine()
        if not is_database(folder):
            self.database = read_places(folder, cache=CACHE)
            return
        stored = open_database(folder)
        if self.options.image_size is None:
            self.shorter_side = stored.manifest.image_size
        stored.match(self.network, self.shorter_side)
        self.database, self._tables = stored.places, [stored.table]
        self.index = self.options.index or Engine("stored")

    def locate(self, images: ImageFiles, count: int, what: str = "") -> Positions:
        """Answers the positions of the most similar images."""
        test_set = TestSet(what, self.database, images.places, labelled=False)
        extractor = self.extractor()
        found = evaluate(
            self.network, test_set, self.accelerator, extractor.precision, extractor.batch_size, extractor.num_workers,
            self.shorter_side, predictions=count, index=self.index, sources={"queries": images},
            databases=self._tables,
        )  # fmt: skip
        best = found.predictions[:, :count]
        probability = np.full(best.shape, np.nan)
        if self.calibration is not None:
            probability[:, 0] = self._probability(found)
        names = np.array([[str(found.database.path(row)) for row in rows] for rows in best], dtype=object)
        rows = np.flatnonzero(np.isin(np.array(images.places.names), np.array(found.queries.names)))
        none = np.zeros((len(best), 0))
        return Positions(
            rows, found.database.latitude[best], found.database.longitude[best], probability,
            found.similarities[:, :count].astype(np.float64), names.reshape(best.shape), none.astype(np.int64), none,
        )  # fmt: skip

    def _probability(self, found: Evaluation) -> np.ndarray:
        values = measures_of(found)
        missing = set(self.calibration.names) - values.keys()
        if missing:
            raise ArgumentError("calibration", f"needs {', '.join(sorted(missing))}, which only re-ranking computes")
        return self.calibration.probability(values)


def read_calibration(file: str) -> Calibration:
    """Reads the calibration.json of an evaluation.

    Raises:
        PlacewiseError: if it is missing or damaged.
    """
    try:
        return from_record(json.loads(Path(file).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PlacewiseError(f"{file}: is not a calibration.json of an evaluation ({first_line(error)})") from error
