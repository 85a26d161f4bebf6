"""The work of building a reference database: its order, and files that a killed build is continued from."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cells.region import RegionCells
from commons.errors import ArgumentError, PlacewiseError
from commons.files import write_text
from tasks.reference_database import ABOUT, FEATURES, FILLED, PLAN, map_file, share_to_byte

DONE = "building.done"  # a byte for each batch: 1 if it is in the files
BAND = 32  # rows whose cells are described together
COMMIT_S = 2.0
TEMPORARY = (".building-*", ".cellregion-*", ".model_weights-*", ".faiss-*", ".config-*")  # of commons.files


class Work:
    """Batches of cells, in an order in which neighbouring ones see the same tiles.

    BAND rows at a time are described from west to east. A tile is then decoded once or twice for each band that sees
    it, where it would be decoded again for each row if a row has more tiles than the cache holds. The bands are those
    of the cells' numbers, so the order of all cells is never in memory.

    Attributes:
        cells: cells of the region.
        batch_size: cells in a batch; the last one of a band may have fewer.
    """

    def __init__(self, cells: RegionCells, batch_size: int) -> None:
        self.cells, self.batch_size = cells, batch_size
        bands = (cells.rows - cells.rows[:1]) // BAND
        self._starts = np.r_[cells.offsets[:-1][np.flatnonzero(np.diff(bands, prepend=-1))], len(cells)]
        self._batches = np.r_[0, np.cumsum(-(-np.diff(self._starts) // batch_size))]

    def __len__(self) -> int:
        """Number of batches."""
        return int(self._batches[-1])

    def sizes(self) -> np.ndarray:
        """Returns how many cells each batch has, int64."""
        sizes = np.full(len(self), self.batch_size)
        sizes[self._batches[1:] - 1] -= -np.diff(self._starts) % self.batch_size
        return sizes

    def parts(self, batches: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields some batches, those of a band together.

        Args:
            batches: numbers of the batches, ascending int64.

        Yields:
            Numbers of the batches of a band, and their cells one after the other, int64. All but the last batch have
            `batch_size` cells.
        """
        bands = np.searchsorted(self._batches, batches, side="right") - 1
        for band in np.unique(bands):
            numbers = batches[bands == band]
            start, stop = self._starts[band : band + 2]
            order = start + np.argsort(self.cells.centres(np.arange(start, stop)).longitude, kind="stable")
            places = (numbers - self._batches[band])[:, None] * self.batch_size + np.arange(self.batch_size)
            yield numbers, order[places[places < len(order)]]


class WorkFiles:
    """Descriptors and filled shares of a database that is being built.

    Several processes may write different batches. What `commit` has ended for is not lost when the process is killed
    or the machine stops.
    """

    def __init__(self, folder: Path, count: int, dim: int, kind: str, batches: int) -> None:
        """Opens the files that `start_files` has made."""
        self.descriptors = map_file(folder / FEATURES, kind, (count, dim), "r+")
        self.filled = map_file(folder / FILLED, "uint8", (count,), "r+")
        self.done = map_file(folder / DONE, "uint8", (batches,), "r+")
        self._pending: list[int] = []
        self._committed = time.monotonic()

    def write(self, batch: int, cells: np.ndarray, descriptors: np.ndarray, filled: np.ndarray) -> bool:
        """Writes a batch; every COMMIT_S seconds, what was written is committed. Returns whether it was.

        Args:
            batch: its number.
            cells: int64 (b,).
            descriptors: float32 (b, d).
            filled: share of the finest images that is not empty, float (b,).

        Raises:
            PlacewiseError: if a descriptor is not finite.
        """
        if not np.isfinite(descriptors).all():
            raise PlacewiseError("descriptors contain NaN or inf; try `precision` fp32")
        shares = share_to_byte(filled)
        self.descriptors[cells] = np.where(shares[:, None] > 0, descriptors, 0)
        self.filled[cells] = shares
        self._pending.append(batch)
        due = time.monotonic() - self._committed >= COMMIT_S
        if due:
            self.commit()
        return due

    def commit(self) -> None:
        """Waits until all that was written is on the disk, and then marks it as done."""
        self.descriptors.flush()
        self.filled.flush()
        self.done[self._pending] = 1
        self.done.flush()
        self._pending, self._committed = [], time.monotonic()


def start_files(folder: Path, plan: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    """Makes the plan and the files of a new database, or keeps those of one whose building has not ended.

    Args:
        folder: which exists.
        plan: what the database is built of.
        sizes: bytes of the files by their names; the marks of finished batches are the last one.
    """
    for pattern in TEMPORARY:  # of a killed build; this one has claimed the folder
        for left in folder.glob(pattern):
            left.unlink()
    write_text(folder / PLAN, json.dumps(plan, indent=1))
    if all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items()):
        return
    (folder / DONE).unlink(missing_ok=True)
    for name, size in sizes.items():
        with open(folder / name, "wb") as file:
            if name != DONE and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # a full disk is an error here, and not a signal later
            file.truncate(size)


def check_plan(folder: Path, plan: Mapping[str, Any]) -> bool:
    """Compares a database, or what was begun of one, with what should be built.

    Returns:
        Whether the database is complete.

    Raises:
        ArgumentError: if it is built of something else, or the folder holds other files.
    """
    if (folder / PLAN).is_file():
        before, complete = json.loads((folder / PLAN).read_text(encoding="utf-8")), False
    elif (folder / ABOUT).is_file():
        before, complete = yaml.safe_load((folder / ABOUT).read_text(encoding="utf-8")).get("plan", {}), True
    else:
        if folder.is_dir() and any(own.name[:1] != "." for own in folder.iterdir()):
            raise ArgumentError("output", f"{folder} is not empty; name another folder")
        return False
    for name, value in plan.items():
        if before.get(name) != value:
            words = f"was built with {before.get(name)}, not {value}"
            words = "was built of another network" if name == "train" else words
            words = "was built of other cells" if name == "geojson" else words
            raise ArgumentError(name, f"{folder} {words}; give the same, or name another `output`")
    return complete


def remove_journal(folder: Path) -> None:
    """Removes the files that only an unfinished database has."""
    (folder / PLAN).unlink(missing_ok=True)  # first: a plan without marks would be begun again
    (folder / DONE).unlink(missing_ok=True)
