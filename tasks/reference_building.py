"""Builds a reference database: descriptors of all cells of a region, by one or several processes, and their index."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from tqdm import tqdm

from cells.region import RegionCells
from commons.checkpoints import network_fingerprint, save_safetensors, to_json
from commons.errors import PlacewiseError
from datasets.tiles.crops import AerialTiles
from model.two_towers import TwoTowers
from retrieval.cell_index import build_index, choose_kind, index_bytes
from tasks.aerial_cells import extract_cells
from tasks.cross_view_regions import Region
from tasks.reference_database import CELLS, FEATURES, FILLED, FULL, INDEX, WEIGHTS, read_about, rows_of, save_about
from tasks.reference_work import DONE, Work, WorkFiles, check_plan, remove_journal, start_files

TIMED = 2  # batches that the time is estimated from, behind a first one


@dataclass(frozen=True)
class Order:
    """What is to be built.

    Attributes:
        folder: folder of the database.
        network, config: the towers, on their device, and their configuration.
        region: aerial images and cells.
        tiles: sources of the images, as the user names them.
        geojson: file of the region; None for all that the tiles cover.
        descriptor_type: float16 or float32.
        index: auto, flat, hnsw or ivfpq.
        batch_size: cells that the network sees at once.
        precision: fp32, bf16 or fp16.
    """

    folder: Path
    network: TwoTowers
    config: Mapping[str, Any]
    region: Region
    tiles: list[str]
    geojson: str | None
    descriptor_type: str
    index: str
    batch_size: int
    precision: str

    @property
    def cells(self) -> RegionCells:
        """Of the region."""
        return self.region.cells

    @property
    def dim(self) -> int:
        """Of the descriptors."""
        return self.network.descriptor_dim

    def plan(self) -> dict[str, Any]:
        """Returns what the bytes of the database depend on, by flag."""
        runs = hashlib.blake2b(digest_size=16)
        for column in (self.cells.rows, self.cells.first, self.cells.last):
            runs.update(column.tobytes())
        return {
            "train": network_fingerprint(self.network), "tiles": list(self.tiles),
            "cell_size": self.cells.grid.size_m, "geojson": runs.hexdigest(), "batch_size": self.batch_size,
            "descriptor_type": self.descriptor_type, "precision": self.precision,
        }  # fmt: skip

    def sizes(self, batches: int) -> dict[str, int]:
        """Returns the bytes of the files that batches are written to."""
        count = len(self.cells)
        return {FEATURES: count * self.dim * np.dtype(self.descriptor_type).itemsize, FILLED: count, DONE: batches}


def build_database(order: Order, accelerator: Accelerator) -> None:
    """Builds a database, or what is missing of one. All processes call it.

    A killed build is continued by the same call, and ends with the same files.

    Raises:
        ArgumentError: if the folder holds something else.
        PlacewiseError: if the disk is too small, or no cell has aerial images.
    """
    work = Work(order.cells, order.batch_size)
    if accelerator.is_main_process:
        started = begin(order, work)
    accelerator.wait_for_everyone()
    if (order.folder / DONE).is_file():
        files = WorkFiles(order.folder, len(order.cells), order.dim, order.descriptor_type, len(work))
        describe(order, work, files, accelerator)
        accelerator.wait_for_everyone()
        if not files.done.all():
            raise PlacewiseError(f"{order.folder}: {(files.done == 0).sum()} batches are missing; repeat the command")
    if accelerator.is_main_process:
        finish(order, started)
    accelerator.wait_for_everyone()


def begin(order: Order, work: Work) -> dict[str, Any]:
    """Makes the files of a database that do not exist yet; returns its plan.

    Raises:
        PlacewiseError: if the disk is too small.
    """
    plan, folder = order.plan(), order.folder
    complete = check_plan(folder, plan)
    sizes = order.sizes(len(work))
    space(order, sizes)
    if complete:
        return plan
    start_files(folder, plan, sizes)
    if not (folder / CELLS).is_file():
        order.cells.save(folder / CELLS)
    save_safetensors(order.network.state_dict(), {"targets": {}, **order.config}, folder / WEIGHTS)
    return plan


def space(order: Order, sizes: Mapping[str, int]) -> None:
    """Logs how many bytes a database takes.

    Raises:
        PlacewiseError: if the disk has fewer.
    """
    count, item = len(order.cells), np.dtype(order.descriptor_type).itemsize
    kind = choose_kind(order.index, count, order.dim, item)
    index = index_bytes(kind, count, order.dim, item)
    network = sum(tensor.numel() * tensor.element_size() for tensor in order.network.state_dict().values())
    needed = sizes | {CELLS: 16 * count + 8 * len(order.cells.rows), INDEX: index, WEIGHTS: network}
    there = {name: order.folder / name for name in needed if name != INDEX}
    missing = sum(needed.values()) - sum(path.stat().st_size for path in there.values() if path.is_file())
    free = shutil.disk_usage(order.folder).free
    logging.info(
        f"Reference database: {count} cells, {order.dim} dimensions in {order.descriptor_type}, index {kind}: "
        f"{_size(sum(needed.values()))}, of which descriptors are {_size(sizes[FEATURES])} and the index {_size(index)}"
    )
    if missing > free:
        smaller = "" if item == 2 else "; with `descriptor_type` float16 descriptors take half of it"
        raise PlacewiseError(
            f"{order.folder}: {_size(missing)} are missing for the database, and {_size(free)} are free on the disk; "
            f"free some space or name another `output`{smaller}"
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def batches(order: Order, work: Work, numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Yields numbers of batches, their cells, descriptors, and filled shares.

    Args:
        order, work: of the database.
        numbers: which batches, ascending int64.
    """
    for own, cells in work.parts(numbers):
        extracted = extract_cells(
            order.network, order.region.aerial, *order.cells.centres(cells), order.config,
            batch_size=order.batch_size, precision=order.precision,
        )  # fmt: skip
        for start, descriptors, filled in extracted:
            number = own[start // order.batch_size]
            yield number, cells[start : start + len(descriptors)], descriptors, filled


def describe(order: Order, work: Work, files: WorkFiles, accelerator: Accelerator) -> None:
    """Describes this process's share of the cells that are not done yet."""
    todo, sizes = np.flatnonzero(files.done == 0), work.sizes()
    own = np.array_split(todo, accelerator.num_processes)[accelerator.process_index]
    accelerator.wait_for_everyone()  # all have seen the same marks
    left, total = int(sizes[todo].sum()), int(sizes.sum())
    if left < total:
        logging.info(f"{total - left} of {total} cells are already done")
    if not len(todo):
        return
    estimate(order, work, own, left, accelerator.num_processes)
    bar = tqdm(
        total=total, initial=total - left, unit=" cells", desc="Cells", disable=not accelerator.is_main_process,
        mininterval=1.0,
    )  # fmt: skip
    begun, described = time.monotonic(), 0
    try:
        for batch in batches(order, work, own):
            described += len(batch[1])
            if files.write(*batch):
                # All processes mark their batches in the same file.
                bar.update(int(sizes[files.done > 0].sum()) - bar.n)
    finally:
        files.commit()
        bar.close()
    seconds = max(time.monotonic() - begun, 1e-6)
    logging.info(f"{described} cells in {_time(seconds)}, {described / seconds:.1f} cells per second")
    report_tiles(order.region.aerial)


def estimate(order: Order, work: Work, own: np.ndarray, left: int, processes: int) -> None:
    """Logs how long the work takes, from a few timed batches that are not written."""
    for _ in batches(order, work, own[:1]):
        pass
    begun = time.monotonic()
    timed = sum(len(batch[1]) for batch in batches(order, work, own[1 : 1 + TIMED]))
    if timed:
        rate = processes * timed / (time.monotonic() - begun)
        logging.info(f"{left} cells at about {rate:.1f} cells per second: {_time(left / rate)}")


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"


def report_tiles(aerial: AerialTiles) -> None:
    """Logs how many tiles were missing or corrupt; corrupt ones were named when they were read."""
    for source in aerial.sources:
        if source.missing or source.corrupt:
            logging.info(f"{source.name}: {source.missing} reads of missing tiles, {len(source.corrupt)} corrupt tiles")


def finish(order: Order, plan: Mapping[str, Any]) -> None:
    """Builds the index and writes config.yaml, with which the database is complete.

    Raises:
        PlacewiseError: if no cell has aerial images.
    """
    folder, count, kind = order.folder, len(order.cells), np.dtype(order.descriptor_type)
    descriptors = np.memmap(folder / FEATURES, kind, "r", shape=(count, order.dim))
    filled = np.fromfile(folder / FILLED, np.uint8)
    empty, partly = int((filled == 0).sum()), int(((filled > 0) & (filled < FULL)).sum())
    if empty == count:
        raise PlacewiseError(
            f"{folder}: none of the {count} cells has an aerial image: the tiles {', '.join(order.tiles)} are all "
            "empty there; give others with `tiles`"
        )
    if empty:
        logging.warning(f"{empty} of {count} cells have no aerial images and cannot be found")
    if partly:
        logging.info(f"The aerial images of {partly} of {count} cells have gaps")
    rows = rows_of(descriptors, filled)
    index = choose_kind(order.index, len(rows), order.dim, kind.itemsize)
    about = {
        "cells": count, "cells_without_images": empty, "cells_with_gaps": partly, "cell_size": plan["cell_size"],
        "descriptor_dim": order.dim, "descriptor_type": order.descriptor_type, "index": index,
        "tiles": list(order.tiles), "geojson": order.geojson, "plan": dict(plan),
        "network": _plain(order.config),
    }  # fmt: skip
    if _is_built(folder, index):
        remove_journal(folder)
        logging.info(f"{folder}: is complete, nothing to do")
        return
    if index != "flat":
        build_index(index, rows, folder / INDEX)
    save_about(folder, about)
    remove_journal(folder)
    if index == "flat":
        (folder / INDEX).unlink(missing_ok=True)
    logging.info(f"{folder}: {count} cells, index {index}; localize.py --reference {folder} searches it")


def _is_built(folder: Path, index: str) -> bool:
    """Whether a database is complete and has this index."""
    try:
        return read_about(folder)["index"] == index
    except PlacewiseError:
        return False


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration in types of YAML, without the fingerprints of training images."""
    return json.loads(to_json({name: value for name, value in config.items() if name != "targets"}))
