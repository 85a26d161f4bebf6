"""Positions of photos from a trained network of any task, for localize.py and app.py."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from shapely.geometry.base import BaseGeometry

from commons import devices
from commons.errors import PlacewiseError
from datasets.decoding import ImageFiles, Size
from reports.geolocation.map import Background
from retrieval.engine import Engine
from tasks import LOCATORS
from tasks.extraction import Extractor
from tasks.task import task_of


class Positions(NamedTuple):
    """Answers for n photos, k for each, best first.

    Attributes:
        rows: rows of the photos that could be decoded, ascending, int64 (n,).
        latitude, longitude: degrees, float64 (n, k).
        probability: probability that an answer is right, float64 (n, k), NaN where unknown.
        similarity: similarity of the database images, float64 (n, k), NaN where there is no database.
        names: names of cells, or paths of database images, object (n, k).
        cells, cell_probabilities: the most probable cells, int64 and float64 (n, c); (n, 0) without cells.
        heading: direction in degrees clockwise from north, float64 (n, k), NaN where unknown; None without directions.
    """

    rows: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    probability: np.ndarray
    similarity: np.ndarray
    names: np.ndarray
    cells: np.ndarray
    cell_probabilities: np.ndarray
    heading: np.ndarray | None = None


@dataclass(frozen=True)
class AerialOptions:
    """How street photos are located by aerial images.

    Attributes:
        reference: database of create_reference_database.py.
        tiles: tiles that replace those of the database; empty for these.
        bearings: directions that are tried for the first answers; 0 for none.
        refine_m: spacing in metres of positions that are tried in the cells of the first answers; 0 for none.
        step_m: longest way in metres between photos of a path that vote together; None for single photos.
    """

    reference: str
    tiles: Sequence[str] = ()
    bearings: int = 0
    refine_m: float = 0.0
    step_m: float | None = None


@dataclass(frozen=True)
class LocatorOptions:
    """How photos are located.

    Attributes:
        database: images of known places, or a database of tools.build_database, for networks of place recognition.
        index: how to search; None for the index of the database, or exact search.
        calibration: calibration.json of an evaluation of the network, which gives probabilities.
        answer: one of `tasks.cell_answers.ANSWERS`, for networks over cells, or of `tasks.embedding_answers`, for
            location embeddings; None for "best" or "softmax".
        decoder: checkpoint of a location decoder, for location embeddings.
        image_size: size of the shorter side, or height and width; None for that of the training.
        precision: "auto", "fp32", "bf16" or "fp16".
        batch_size, num_workers: as for `Extractor`.
        aerial: for street photos located by aerial images; None for all others.
    """

    database: str | None = None
    index: Engine | None = None
    calibration: str | None = None
    answer: str | None = None
    decoder: str | None = None
    image_size: Size = None
    precision: str = "auto"
    batch_size: int = 16
    num_workers: int = 0
    aerial: AerialOptions | None = None


@dataclass
class Locator(ABC):
    """A network that is ready to answer.

    Attributes:
        network: network on its device.
        configs: configuration of each checkpoint by its path.
        accelerator: accelerator of one process.
        options: how photos are located.
        shorter_side: size of photos for the network; None to keep theirs.
    """

    network: torch.nn.Module
    configs: dict[str, dict[str, Any]]
    accelerator: Accelerator
    options: LocatorOptions
    shorter_side: Size = field(init=False, default=None)

    @abstractmethod
    def locate(self, images: ImageFiles, count: int, what: str = "") -> Positions:
        """Answers positions. Metadata of the files, such as GPS in EXIF, is not looked at.

        Args:
            images: photos whose `shorter_side` is that of the locator.
            count: answers for each, at least 1.
            what: title of the progress bar; "" for none.
        """

    def outlines(self, cells: Sequence[int]) -> list[BaseGeometry]:
        """Returns the outlines of cells in degrees; [] for networks without cells."""
        return []

    @property
    def note(self) -> str:
        """A sentence about the answers, "" for none."""
        return ""

    @property
    def total_cells(self) -> int | None:
        """Number of all cells, None if it is not known here."""
        return None

    def cells_at(self, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
        """Returns the cells that hold points, int64 (n,), -1 where unknown."""
        return np.full(len(latitude), -1)

    def drawn_cells(self, cells: np.ndarray, most: int) -> np.ndarray:
        """Returns which cells a map shows, ascending: some cells (-1 for none), or all if these are at most `most`."""
        return np.unique(cells[cells >= 0])

    def background(self) -> Background | None:
        """Returns a picture of the region, if it is small; None for none."""
        return None

    def extractor(self) -> Extractor:
        """Returns what runs the network."""
        precision = devices.choose_precision(self.options.precision, self.accelerator.device, extracted_by=self.network)
        return Extractor(
            self.accelerator, precision, self.options.batch_size, self.options.num_workers, self.shorter_side
        )


def open_locator(paths: Sequence[str | Path], accelerator: Accelerator, options: LocatorOptions) -> Locator:
    """Opens checkpoints or exported networks of any task, or a reference database of aerial cells.

    Args:
        paths: paths of the networks; none for a reference database, which has its own.
        accelerator: accelerator of one process.
        options: how photos are located.

    Raises:
        PlacewiseError: if they are of different tasks, or cannot be read.
        ArgumentError: if an option is missing, or is for another task.
    """
    name = task_of(paths).name if options.aerial is None else "cross_view"
    if name not in LOCATORS:
        raise PlacewiseError(f"{paths[0]}: networks of the task {name} cannot locate photos")
    return LOCATORS[name].open([str(path) for path in paths], accelerator, options)
