"""Positions of photos from networks over cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from accelerate import Accelerator
from shapely.geometry.base import BaseGeometry

from cells.partition import Partition
from commons.errors import ArgumentError
from commons.sphere import to_degrees
from datasets.decoding import ImageFiles
from tasks.cell_answers import CellAnswers
from tasks.cell_networks import heads_for, load_cell_networks
from tasks.cell_partitions import from_text, geometry_of, offset_loss
from tasks.locating import Locator, LocatorOptions, Positions
from tasks.location_embedding import embedding_answers, load_one, positions_of
from tasks.networks import choose_shorter_side


@dataclass
class CellLocator(Locator):
    """Answers the points of the most probable cells."""

    partition: Partition = field(init=False)
    answers: CellAnswers = field(init=False)
    answer: str = field(init=False)
    default: ClassVar[str] = "best"
    foreign: ClassVar[Mapping[str, str]] = {
        "database": "is for networks of place recognition; this one predicts cells",
        "calibration": "is for networks of place recognition; this one predicts cells",
        "decoder": "is for networks of location embeddings; this one predicts cells",
    }

    @classmethod
    def open(cls, paths: Sequence[str], accelerator: Accelerator, options: LocatorOptions) -> "CellLocator":
        """Opens checkpoints or exported networks; several are averaged."""
        for name, reason in cls.foreign.items():
            if getattr(options, name) is not None:
                raise ArgumentError(name, reason)
        network, configs = cls.load(paths, accelerator.device)
        made = cls(network.to(accelerator.device, memory_format=torch.channels_last), configs, accelerator, options)
        config = configs[paths[0]]
        made.partition = from_text(config["partition"])
        made.shorter_side = choose_shorter_side(options.image_size, None, configs)
        made.answers = made.make_answers(config).to(accelerator.device)
        made.answer = options.answer or made.default
        if made.answer not in made.answers.names:
            raise ArgumentError("answer", f"{made.answer}: choose from {', '.join(made.answers.names)}")
        return made

    @staticmethod
    def load(paths: Sequence[str], device: torch.device) -> tuple[torch.nn.Module, dict[str, dict[str, Any]]]:
        """Returns the network and the configuration of each checkpoint."""
        return load_cell_networks(paths, device)

    def make_answers(self, config: Mapping[str, Any]) -> torch.nn.Module:
        """Returns what maps images to answers."""
        geometry, heads = geometry_of(self.partition), heads_for(self.partition, config["cell_loss"])
        offset = offset_loss(geometry, config) if heads.offsets else None
        return CellAnswers(self.network, heads, geometry, offset)

    def locate(self, images: ImageFiles, count: int, what: str = "") -> Positions:
        """Answers the chosen point, then the points of the other most probable cells."""
        table = self.extractor().table(self.answers, images.places, what, images)
        order = np.argsort(table.rows)
        found = self.answers.read(torch.from_numpy(table.vectors[order]))
        cells, shares = found.cells.numpy(), found.probabilities.numpy().astype(np.float64)
        first = found.point_cells[self.answer].numpy()
        ranked = _first_then_others(first, cells)[:, :count]
        point = self.partition.finest.point
        latitude, longitude = point.latitude[ranked], point.longitude[ranked]
        own = found.points[self.answer].numpy().astype(np.float64)
        latitude[:, 0], longitude[:, 0] = to_degrees(own)
        by_cell = (ranked[:, :, None] == cells[:, None, :]) * shares[:, None, :]
        probability = by_cell.sum(axis=2)
        names = self.partition.finest.names[ranked]
        return Positions(
            table.rows[order], latitude, longitude, probability, np.full(ranked.shape, np.nan), names, cells, shares
        )

    def outlines(self, cells: Sequence[int]) -> list[BaseGeometry]:
        """Returns the outlines of some of the finest cells."""
        return [self.partition.finest.polygon(int(cell)) for cell in cells]


@dataclass
class EmbeddingLocator(CellLocator):
    """Answers positions whose embeddings are like that of the photo, then the points of the most probable cells."""

    default: ClassVar[str] = "softmax"
    foreign: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("database", "calibration"), "is for networks of place recognition; this one predicts positions"
    )

    @staticmethod
    def load(paths: Sequence[str], device: torch.device) -> tuple[torch.nn.Module, dict[str, dict[str, Any]]]:
        """Returns the network and its configuration."""
        return load_one(paths)

    def make_answers(self, config: Mapping[str, Any]) -> torch.nn.Module:
        """Returns what maps images to answers."""
        return embedding_answers(self.network, positions_of(config), self.partition, self.options.decoder)


def _first_then_others(first: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Returns the cell of each answer, int (n, top): the first one, then the most probable ones but it."""
    others = np.where(cells == first[:, None], -1, cells)
    order = np.argsort(others < 0, axis=1, kind="stable")
    others = np.take_along_axis(others, order, axis=1)
    return np.concatenate([first[:, None], others[:, : cells.shape[1] - 1]], axis=1)
