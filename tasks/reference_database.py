"""Reference databases: descriptors of all aerial cells of a region, in which street photos are searched.

A database is a folder with the files of https://arxiv.org/abs/2409.16763:

    cellregion.npz              the cells (cells.region.RegionCells)
    aerial_features.bin         descriptors in the order of the cells, float16 or float32 (n, d) without a header
    aerial_filled.bin           share of each cell's finest image that is not empty, times 255, uint8 (n,)
    faiss.index                 of the descriptors that are not empty; not there for exact search
    model_weights.safetensors   the network, with its configuration in the header
    config.yaml                 what the database was built of; written last

`tasks.reference_building` writes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cells.region import RegionCells, load_region_cells
from commons.errors import PlacewiseError, first_line
from commons.files import write_text
from model.two_towers import TwoTowers
from retrieval.cell_index import CellIndex, Rows
from tasks.cross_view_networks import load_towers

CELLS, FEATURES, FILLED = "cellregion.npz", "aerial_features.bin", "aerial_filled.bin"
INDEX, WEIGHTS, ABOUT = "faiss.index", "model_weights.safetensors", "config.yaml"
PLAN = "building.json"  # there until the database is complete
TYPES = ("float32", "float16")
FULL = 255


@dataclass(frozen=True)
class ReferenceDatabase:
    """A database that is open; descriptors and index stay on disk where possible.

    Attributes:
        folder: folder of the database.
        about: config.yaml.
        cells: cells of the region.
        descriptors: descriptors of the cells, of unit length, float16 or float32 (n, d); zeros for cells without aerial
            images.
        filled: share of each cell's finest image that is not empty, times 255, uint8 (n,).
    """

    folder: Path
    about: Mapping[str, Any]
    cells: RegionCells
    descriptors: np.ndarray
    filled: np.ndarray

    @classmethod
    def open(cls, folder: str | Path) -> "ReferenceDatabase":
        """Opens a database.

        Raises:
            PlacewiseError: if it is none, its building has not ended, or a file is missing or damaged.
        """
        folder = Path(folder)
        about = read_about(folder)
        cells = load_region_cells(folder / CELLS)
        shape, kind = (len(cells), int(about["descriptor_dim"])), np.dtype(about["descriptor_type"])
        descriptors, filled = map_file(folder / FEATURES, kind, shape), map_file(folder / FILLED, "uint8", shape[:1])
        return cls(folder, about, cells, descriptors, filled)

    @property
    def tiles(self) -> list[str]:
        """Sources of the aerial images, as they were named when the database was built."""
        return list(self.about["tiles"])

    def towers(self) -> tuple[TwoTowers, dict[str, Any]]:
        """Returns the network, on the CPU and in evaluation mode, and its configuration."""
        return load_towers(self.folder / WEIGHTS)

    @cached_property
    def rows(self) -> Rows:
        """The descriptors of cells with aerial images."""
        return rows_of(self.descriptors, self.filled)

    @cached_property
    def index(self) -> CellIndex:
        """The index, which is opened when it is used for the first time."""
        return CellIndex(self.rows, None if self.about["index"] == "flat" else self.folder / INDEX)

    def search(self, descriptors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Finds the most similar cells of some photos. Cells without aerial images are never found.

        Args:
            descriptors: descriptors of the photos, of unit length, float32 (q, d).
            k: cells of each photo; all with aerial images if there are fewer.

        Returns:
            Similarities in descending order, float32 (q, k), and cells, int64 (q, k).
        """
        return self.index.search(descriptors, min(k, len(self.rows)))


def rows_of(descriptors: np.ndarray, filled: np.ndarray) -> Rows:
    """Returns the descriptors of cells whose aerial images are not empty."""
    return Rows(descriptors, None if filled.all() else np.flatnonzero(filled))


def read_about(folder: Path) -> dict[str, Any]:
    """Returns config.yaml of a database.

    Raises:
        PlacewiseError: if there is none, or it says too little.
    """
    if (folder / PLAN).is_file():
        raise PlacewiseError(f"{folder}: the database is incomplete; repeat the command that builds it")
    try:
        about = yaml.safe_load((folder / ABOUT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlacewiseError(
            f"{folder}: is not a reference database (there is no {ABOUT}); build one with create_reference_database.py"
        ) from None
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise PlacewiseError(f"{folder / ABOUT}: cannot be read ({first_line(error)})") from error
    needed = ("descriptor_dim", "descriptor_type", "index", "tiles")
    missing = [name for name in needed if not isinstance(about, dict) or name not in about]
    if missing or about["descriptor_type"] not in TYPES:
        raise PlacewiseError(f"{folder / ABOUT}: does not contain {', '.join(missing or needed[1:2])}")
    return about


def map_file(path: Path, kind: np.dtype | str, shape: tuple[int, ...], mode: str = "r") -> np.ndarray:
    """Maps an array without a header into memory.

    Raises:
        PlacewiseError: if the file is missing or has another size.
    """
    wanted = int(np.prod(shape)) * np.dtype(kind).itemsize
    size = path.stat().st_size if path.is_file() else None
    if size != wanted:
        found = "is missing" if size is None else f"has {size} bytes instead of {wanted}"
        raise PlacewiseError(f"{path}: {found}; build the database again")
    return np.memmap(path, kind, mode, shape=shape)


def share_to_byte(filled: np.ndarray) -> np.ndarray:
    """Returns shares of images that are not empty as uint8 (n,): 0 for nothing alone, 255 for all alone."""
    return np.where(filled >= 1, FULL, np.ceil(np.clip(filled, 0, 1) * (FULL - 1))).astype(np.uint8)


def save_about(folder: Path, about: Mapping[str, Any]) -> None:
    """Writes config.yaml."""
    write_text(folder / ABOUT, yaml.safe_dump(dict(about), sort_keys=False, allow_unicode=True))
