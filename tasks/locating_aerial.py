"""Positions of street photos from a reference database of aerial cells."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from shapely.geometry.base import BaseGeometry

from commons.errors import ArgumentError, PlacewiseError
from commons.files import CACHE
from commons.sphere import to_local_km
from datasets.decoding import ImageFiles
from datasets.letterbox import letterbox_of
from datasets.tiles.crops import AerialTiles
from datasets.tiles.mercator import crop_matrices, from_world
from demo.write import demo_path
from reports.geolocation.map import Background
from reports.geolocation.outlines import Bounds
from tasks.aerial_answers import Ranked, paths_of, rank_cells, refined, voted, with_headings
from tasks.aerial_cells import extract_cells, open_aerial
from tasks.locating import Locator, LocatorOptions, Positions
from tasks.reference_database import ReferenceDatabase
from tasks.street_photos import extract_photos

TEMPERATURE = 1 / 36  # of losses.cross_view.infonce
GUESSED = (
    "the network was trained with aerial images at random bearings or north up, so it cannot know headings: those that "
    "are answered are guesses"
)
BACKGROUND_M, BACKGROUND_PIXELS = 3000.0, 1600  # sides of the largest region on a picture, and of it


class Answered(NamedTuple):
    """Answers for photos.

    Attributes:
        rows: rows of the photos that could be decoded, ascending int64 (n,).
        descriptors: descriptors of these, float32 (n, d).
        ranked: their cells.
    """

    rows: np.ndarray
    descriptors: np.ndarray
    ranked: Ranked

    def positions(self, count: int) -> Positions:
        """Returns the first `count` answers of each photo; probabilities are shares of a softmax, not calibrated."""
        kept = Ranked(*(column[:, :count] for column in self.ranked))
        names = np.array([f"cell {cell}" for cell in kept.cells.ravel()], object).reshape(kept.cells.shape)
        return Positions(
            self.rows, kept.latitude, kept.longitude, np.exp(kept.score), kept.similarity, names,
            self.ranked.cells, np.exp(self.ranked.score), kept.heading,
        )  # fmt: skip


@dataclass
class AerialLocator(Locator):
    """Answers the aerial cells that a photo is most like.

    Attributes:
        database: database of the cells.
        config: configuration of its network.
        temperature: temperature of the softmax over similarities, as the network was trained.
    """

    database: ReferenceDatabase = field(init=False)
    config: Mapping[str, Any] = field(init=False)
    temperature: float = field(init=False)

    @classmethod
    def open(cls, paths: Sequence[str], accelerator: Accelerator, options: LocatorOptions) -> "AerialLocator":
        """Opens a reference database, which holds its network.

        Raises:
            ArgumentError: if there is none, or an option is for other tasks.
        """
        if options.aerial is None:
            raise ArgumentError(
                "reference",
                "is missing: networks for street photos and aerial images need a database of "
                "create_reference_database.py",
            )
        for name in ("database", "index", "calibration", "answer", "decoder", "image_size"):
            if getattr(options, name) is not None:
                raise ArgumentError(name, "is not for photos located by aerial images")
        database = ReferenceDatabase.open(options.aerial.reference)
        network, config = database.towers()
        network = network.to(accelerator.device, memory_format=torch.channels_last)
        made = cls(network, {options.aerial.reference: config}, accelerator, options)
        made.database, made.config, made.temperature = database, config, temperature_of(config)
        made.shorter_side = letterbox_of(config["image_size"])
        return made

    @property
    def note(self) -> str:
        """What the probabilities are."""
        return "The probability of a cell is its share of a softmax over similarities; it is not calibrated."

    @property
    def turned(self) -> bool:
        """Whether the network was trained with aerial images in the direction of their photos."""
        return self.config.get("aerial_bearing") == "heading"

    @cached_property
    def aerial(self) -> AerialTiles:
        """The tiles of the database, or those that were named instead.

        Raises:
            PlacewiseError: if they cannot be read.
        """
        try:
            tiles = [demo_path(path, CACHE) for path in self.options.aerial.tiles or self.database.tiles]
            return open_aerial(tiles, self.accelerator.device)
        except PlacewiseError as error:
            if self.options.aerial.tiles:
                raise
            words = f"{error}; the database was built of these tiles: name where they lie now with `tiles`"
            raise ArgumentError("reference", words) from error

    def locate(self, images: ImageFiles, count: int, what: str = "") -> Positions:
        """Answers cells, or positions near their middles with `refine`."""
        return self.answer(images, count).positions(count)

    def answer(self, images: ImageFiles, count: int) -> Answered:
        """Answers all candidates; bearings and finer positions are tried for the first `count`."""
        aerial, extractor = self.options.aerial, self.extractor()
        paths = [] if aerial.step_m is None else paths_of(images.places)
        found = extract_photos(
            self.network, images, self.config, batch_size=extractor.batch_size, precision=extractor.precision,
            num_workers=extractor.num_workers,
        )  # fmt: skip
        rows = np.flatnonzero(np.isfinite(found).all(axis=1))
        photos = found[rows]
        ranked = rank_cells(self.database, photos, self.temperature, count)
        if paths:
            place = np.full(len(found), -1)
            place[rows] = np.arange(len(rows))
            decoded = [place[path][place[path] >= 0] for path in paths]
            ranked = voted(self.database, photos, ranked, decoded, aerial.step_m, self.temperature)
        # Cells of a network whose images were turned in training are like a photo in its direction only.
        steps = [self._turn, self._refine] if self.turned else [self._refine, self._turn]
        for step in steps:
            ranked = step(photos, ranked, count)
        return Answered(rows, photos, ranked)

    def _turn(self, photos: np.ndarray, ranked: Ranked, count: int) -> Ranked:
        bearings, gains = self.options.aerial.bearings, self.temperature if self.turned else None
        if not bearings:
            return ranked
        if not self.turned:
            logging.warning(GUESSED)
        return with_headings(self._describe, photos, ranked, count, bearings, gains)

    def _refine(self, photos: np.ndarray, ranked: Ranked, count: int) -> Ranked:
        spacing, side = self.options.aerial.refine_m, self.database.cells.grid.size_m
        if not spacing:
            return ranked
        return refined(self._describe, photos, ranked, count, side, spacing, self.temperature)

    def _describe(
        self, latitude: np.ndarray, longitude: np.ndarray, bearing: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        extractor = self.extractor()
        parts = extract_cells(
            self.network, self.aerial, latitude, longitude, self.config, bearing=bearing,
            batch_size=extractor.batch_size, precision=extractor.precision,
        )  # fmt: skip
        _, descriptors, filled = zip(*parts, strict=True)
        return np.concatenate(descriptors), np.concatenate(filled)

    def outlines(self, cells: Sequence[int]) -> list[BaseGeometry]:
        """Returns the outlines of some cells."""
        return [self.database.cells.polygon(int(cell)) for cell in cells]

    @property
    def total_cells(self) -> int:
        """Number of cells of the region."""
        return len(self.database.cells)

    def cells_at(self, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
        """Returns the cells that hold points, int64 (n,), -1 where unknown."""
        return self.database.cells.assign(latitude, longitude)

    def drawn_cells(self, cells: np.ndarray, most: int) -> np.ndarray:
        """Returns all cells of a small region, those that photos name of a large one."""
        return np.arange(self.total_cells) if self.total_cells <= most else super().drawn_cells(cells, most)

    def background(self) -> Background | None:
        """Returns the aerial images of a region of at most BACKGROUND_M metres, north up, where they can be read."""
        cells = self.database.cells
        if len(cells) > (BACKGROUND_M / cells.grid.size_m + 1) ** 2:
            return None
        latitude, longitude = cells.centres()
        middle = [np.array([(own.min() + own.max()) / 2]) for own in (latitude, longitude)]
        east, north = to_local_km(latitude, longitude, *middle)
        side = 1000 * 2 * max(np.abs(east).max(), np.abs(north).max()) + 2 * cells.grid.size_m
        if side > BACKGROUND_M:
            return None
        metres = np.array([side / BACKGROUND_PIXELS])
        try:
            (image,), _ = self.aerial.crops(*middle, metres, BACKGROUND_PIXELS)
        except (PlacewiseError, ArgumentError):
            return None
        corners = np.array([[0, BACKGROUND_PIXELS], [0, BACKGROUND_PIXELS], [1, 1]])
        world = crop_matrices(*middle, np.zeros(1), metres, BACKGROUND_PIXELS)[0] @ corners
        (north, south), (west, east) = from_world(*world)
        picture = Image.fromarray(image.permute(1, 2, 0).cpu().numpy())
        return Background(picture, Bounds(float(west), float(south), float(east), float(north)))


def temperature_of(config: Mapping[str, Any]) -> float:
    """Returns the temperature of the loss that a network was trained with, that of `infonce` if its loss has none."""
    given = config.get("temperature") or (config.get("loss_options") or {}).get("temperature")
    return float(given or TEMPERATURE)
