"""Turns an upload into the answer for the page and other programs."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
import torch
from pydantic import BaseModel, Field

from datasets.memory_images import MemoryImages
from reports.geolocation.outlines import decimals_for
from tasks.locating import Locator, Positions
from web.attention import attention, can_explain
from web.pictures import Pictures, jpeg_bytes
from web.places import Regions, place_names, towns_near
from web.uploads import PhotoLimits, RefusedUpload, read_photo

OUTLINE_STEPS = 600  # of the width of the cells that an answer has
Ring = list[tuple[float, float]]


class Answer(BaseModel):
    """A position, best first."""

    latitude: float = Field(description="degrees")
    longitude: float = Field(description="degrees")
    heading: float | None = Field(description="of the photo, degrees clockwise from north; null where unknown")
    probability: float | None = Field(description="that the photo was taken here; null where unknown")
    similarity: float | None = Field(description="of the database picture or aerial cell; null without a database")
    place: str = Field(description="name of the place, from the nearest town")
    name: str = Field(description="of the cell, or file name of the database picture")
    picture: str | None = Field(description="address of the database picture, made small; null without a database")


class Cell(BaseModel):
    """One of the most probable cells."""

    probability: float
    outline: list[list[Ring]] = Field(description="polygons, each an outer ring and holes of [longitude, latitude]")


class Town(BaseModel):
    """A town near the answers."""

    name: str
    latitude: float
    longitude: float


class Located(BaseModel):
    """The answer for a photo."""

    answers: list[Answer]
    cells: list[Cell] = Field(description="empty for networks of place recognition")
    towns: list[Town]
    seconds: float = Field(description="of computing")


class Finder:
    """Answers for uploads. Its methods are called in one thread at a time."""

    def __init__(
        self, locator: Locator, limits: PhotoLimits, top_k: int, pictures: Pictures, regions: Regions | None = None
    ) -> None:
        """Args:
        locator: the network.
        limits: limits of photos.
        top_k: number of positions.
        pictures: stores the database pictures of answers.
        regions: named areas, which take precedence over the gazetteer.
        """
        self.locator, self.limits, self.top_k, self.pictures = locator, limits, top_k, pictures
        self.regions = regions
        self.explains = can_explain(locator.network)
        self.background = locator.background()

    def locate(self, data: bytes) -> Located:
        """Answers an upload.

        Raises:
            RefusedUpload: as `read_photo`.
        """
        start = time.perf_counter()
        found = self._positions(read_photo(data, self.limits, self.locator.shorter_side))
        known = np.flatnonzero(np.isfinite(found.latitude[0]) & np.isfinite(found.longitude[0]))
        latitude, longitude = found.latitude[0, known], found.longitude[0, known]
        towns = towns_near(latitude, longitude) if len(known) else []
        return Located(
            answers=self._answers(found, known),
            cells=self._cells(found.cells[0], found.cell_probabilities[0]),
            towns=[Town(name=name, latitude=own[0], longitude=own[1]) for name, *own in towns],
            seconds=round(time.perf_counter() - start, 3),
        )

    def attention(self, data: bytes) -> bytes:
        """Returns a JPEG of an upload with an overlay of the attention of the network.

        Raises:
            RefusedUpload: as `read_photo`, and if the network cannot be explained.
        """
        if not self.explains:
            raise RefusedUpload(404, "This network cannot show what it looked at.")
        pixels = read_photo(data, self.limits, self.locator.shorter_side)
        found = self._positions(pixels)
        try:
            drawn = attention(self.locator.network, pixels, found, self.locator.shorter_side)
        except OSError:
            raise RefusedUpload(404, "The most similar database picture cannot be read.") from None
        return jpeg_bytes(drawn)

    def warm_up(self) -> None:
        """Runs everything once, including the descriptors of the database."""
        side = self.locator.shorter_side or 256
        size = (side, side) if isinstance(side, int) else tuple(side)
        self._positions(torch.randint(0, 255, (3, *size), dtype=torch.uint8), "start")
        place_names(np.zeros(1), np.zeros(1), self.regions)

    def _positions(self, pixels: torch.Tensor, what: str = "") -> Positions:
        return self.locator.locate(MemoryImages([pixels], self.locator.shorter_side), self.top_k, what)

    def _answers(self, found: Positions, known: np.ndarray) -> list[Answer]:
        latitude, longitude = found.latitude[0, known], found.longitude[0, known]
        places = place_names(latitude, longitude, self.regions) if len(known) else []
        headings = np.full(found.latitude.shape, np.nan) if found.heading is None else found.heading
        made = []
        for rank, place in zip(known, places, strict=True):
            similarity, name = _number(found.similarity[0, rank]), str(found.names[0, rank])
            pictured = similarity is not None and not found.cells.shape[1]
            picture = None if not pictured else f"/pictures/{self.pictures.add(name)}.jpg"
            made.append(
                Answer(
                    latitude=round(float(found.latitude[0, rank]), 6),
                    longitude=round(float(found.longitude[0, rank]), 6),
                    heading=_number(headings[0, rank]), probability=_number(found.probability[0, rank]),
                    similarity=similarity, place=place,
                    name=name if picture is None else Path(name).name, picture=picture,
                )
            )  # fmt: skip
        return made

    def _cells(self, cells: Sequence[int], probabilities: np.ndarray) -> list[Cell]:
        shapes = self.locator.outlines(cells)
        if not shapes:
            return []
        west, south, east, north = shapely.total_bounds(shapes)
        step = max(east - west, north - south) / OUTLINE_STEPS
        # A square stays one, however small it is on the map.
        simple = [own if shapely.get_num_coordinates(own) <= 5 else shapely.simplify(own, step) for own in shapes]
        decimals = max(decimals_for(max(east - west, north - south)), 4)
        return [
            Cell(probability=round(float(own), 5), outline=_polygons(shape, decimals))
            for shape, own in zip(simple, probabilities, strict=True)
        ]


def _number(value: float) -> float | None:
    return round(float(value), 5) if np.isfinite(value) else None


def _polygons(shape: shapely.Geometry, decimals: int) -> list[list[Ring]]:
    return [
        [
            [(round(x, decimals), round(y, decimals)) for x, y in ring.coords]
            for ring in (part.exterior, *part.interiors)
        ]
        for part in shapely.get_parts(shape)
        if part.geom_type == "Polygon" and not part.is_empty
    ]
