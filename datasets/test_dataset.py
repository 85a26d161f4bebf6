"""Test sets and their image batches."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from commons.errors import PlacewiseError
from commons.threads import in_threads
from datasets.decoding import ImageFiles
from datasets.places import Places
from datasets.positives import Positives
from datasets.readers import READERS
from datasets.readers.reader import TestFolders
from datasets.unreadable import UnreadableImages

PENDING_BATCHES = 4
CPU = torch.device("cpu")
Stacks = tuple[list[tuple[np.ndarray, torch.Tensor]], list[tuple[str, str]]]


class Groups(NamedTuple):
    """Parts of a test set, such as cities, whose queries are searched in their own database only.

    Attributes:
        database, queries: number of each image's part, int (d,) and (q,).
        names: names of the parts.
    """

    database: np.ndarray
    queries: np.ndarray
    names: tuple[str, ...]

    def members(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the rows of each part's database and of its queries."""
        for number in range(len(self.names)):
            yield np.flatnonzero(self.database == number), np.flatnonzero(self.queries == number)


class Middles(NamedTuple):
    """Which sequences of a test set count, where a protocol chooses by their middle frames.

    Attributes:
        database, queries: whether each image may be a middle frame, bool (d,) and (q,).
        answerable: metres within which a database sequence must be, otherwise the query is left out; None to keep all.
    """

    database: np.ndarray
    queries: np.ndarray
    answerable: float | None


@dataclass(frozen=True)
class TestSet:
    """A database and queries, and what says which database images are correct.

    Attributes:
        name: for reports.
        database, queries: images. They have positions unless `labelled` is False or there are `positives`.
        labelled: False to predict only.
        positives: the correct database images of each query; None where positions decide.
        groups: parts that are searched each on its own; None for one database.
        layout: one of datasets.readers.READERS.
        protocol: which queries and which ground truth, in words; "" where the layout has only one.
        threshold: metres that the files of the set give; None where they give none.
        middles: the middle frames of its sequences; None for all images.
    """

    __test__ = False

    name: str
    database: Places
    queries: Places
    labelled: bool = True
    positives: Positives | None = None
    groups: Groups | None = None
    layout: str = "folders"
    protocol: str = ""
    threshold: float | None = None
    middles: Middles | None = None

    @property
    def tables(self) -> dict[str, Places]:
        """The places by what they are."""
        return {"queries": self.queries, "database images": self.database}

    @property
    def smallest_database(self) -> int:
        """How many images the smallest database has in which queries are searched."""
        if self.groups is None:
            return len(self.database)
        return min(len(database) for database, queries in self.groups.members() if len(queries))

    def with_queries(self, rows: np.ndarray) -> "TestSet":
        """Returns the set with some of its queries, ascending `rows`."""
        groups = self.groups and self.groups._replace(queries=self.groups.queries[rows])
        positives = self.positives and self.positives.take(rows, np.arange(len(self.database)))
        return replace(self, queries=self.queries.take(rows), positives=positives, groups=groups)

    def with_protocol(self, protocol: str) -> "TestSet":
        """Returns the set with the words of its protocol."""
        return replace(self, protocol=protocol)

    def check_groups(self) -> None:
        """Raises PlacewiseError if there is no query, or a part has queries and no database."""
        if not len(self.queries):
            raise PlacewiseError(f"{self.name}: no query is left")
        for name, (database, queries) in zip(self.groups.names, self.groups.members(), strict=True):
            if len(queries) and not len(database):
                raise PlacewiseError(f"{self.name}: {name} has {len(queries)} queries but no database images")

    def __str__(self) -> str:
        protocol = f" (layout {self.layout}{f', {self.protocol}' if self.protocol else ''})"
        known = "" if self.layout == "folders" else protocol
        return f"{self.name}: {len(self.database)} database images, {len(self.queries)} queries{known}"


def read_test_set(folders: TestFolders, labelled: bool = True, database: Places | None = None) -> TestSet:
    """Reads a test set; with `labelled` False positions may be missing.

    Args:
        folders: folders of the set.
        labelled: whether positions are needed.
        database: its database, if a set before had the same one.

    Raises:
        PlacewiseError: if a folder is empty, a position is missing or positions cannot be compared.
    """
    return READERS[folders.layout].read(folders, labelled, database)


def read_test_sets(
    sets: Sequence[TestFolders], labelled: bool = True, database: Places | None = None
) -> Iterator[TestSet]:
    """Reads test sets as `read_test_set`; those that follow each other with one database folder share its table.

    Args:
        sets: folders.
        labelled: whether positions are needed.
        database: database of the first set, if it is known already.
    """
    last = None if database is None else (sets[0].database, database)
    for folders in sets:
        shared = last[1] if last and folders.layout == "folders" and folders.database == last[0] else None
        test_set = read_test_set(folders, labelled, shared)
        last = (folders.database, test_set.database) if folders.layout == "folders" else None
        yield test_set


def _or_reason(work: Callable[..., torch.Tensor], given: object) -> torch.Tensor | str:
    """Returns what `work` makes of an image, or the reason why it cannot; a reason is passed on."""
    try:
        return given if isinstance(given, str) else work(given)
    except OSError as error:
        return str(error)


def _decode_ahead(source: ImageFiles, rows: np.ndarray, pin_memory: bool) -> Stacks:
    return _stacks(source, rows, [_or_reason(source.read, row) for row in rows], pin_memory)


def _decode_in_turn(source: ImageFiles, chunks: list[np.ndarray], readers: int) -> Iterator[Stacks]:
    def load(rows: np.ndarray) -> list[torch.Tensor | str]:
        return [_or_reason(source.load, row) for row in rows]

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for rows, loaded in zip(chunks, in_threads(load, chunks, readers), strict=True):
            yield _stacks(source, rows, list(pool.map(partial(_or_reason, source.finish), loaded)))


def _stacks(source: ImageFiles, rows: np.ndarray, images: list[torch.Tensor | str], pin_memory: bool = False) -> Stacks:
    """Returns images stacked by shape, as (rows, uint8 (b, 3, h, w)), and (path, reason) of what cannot be decoded."""
    by_shape: dict[torch.Size, list[tuple[int, torch.Tensor]]] = {}
    failures = []
    for row, image in zip(rows, images, strict=True):
        if isinstance(image, str):
            failures.append((str(source.places.path(row)), image))
        else:
            by_shape.setdefault(image.shape, []).append((row, image))
    stacks = []
    for members in by_shape.values():
        images = torch.stack([image for _, image in members])
        stacks.append((np.array([row for row, _ in members]), images.pin_memory() if pin_memory else images))
    return stacks, failures


def image_batches(
    source: ImageFiles,
    batch_size: int,
    num_workers: int,
    device: torch.device = CPU,
    rank: int = 0,
    processes: int = 1,
    unreadable: UnreadableImages | None = None,
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Decodes this process's share of a table into batches of images of one size.

    Images of equal size are gathered into full batches. At most PENDING_BATCHES batches wait, however many sizes there
    are. The rows of a set with one image size are in ascending order. Images that cannot be decoded are left out with
    a warning.

    Args:
        source: the images.
        batch_size: images in a batch.
        num_workers: threads that read and decode ahead. If the device is the CPU they only read, and all of PyTorch's
            threads decode a batch when it is needed: a thread that decodes while the network runs slows down all of
            its threads.
        device: where the network is.
        rank, processes: which share.
        unreadable: collects the images of this share that are left out; by default they are only logged.

    Yields:
        (rows of `source.places`, uint8 tensor (b, 3, h, w)) with b <= batch_size.

    Raises:
        PlacewiseError: if more than one image and more than 1 % of the images, or all of them, cannot be decoded.
    """
    places = source.places
    share = np.array_split(np.arange(len(places)), processes)[rank]
    chunks = [share[start : start + batch_size] for start in range(0, len(share), batch_size)]
    if device.type == "cpu":
        stacked = _decode_in_turn(source, chunks, num_workers)
    else:
        # Threads, not processes: decoding releases Python's lock, and after a fork every page of memory is copied.
        stacked = in_threads(partial(_decode_ahead, source, pin_memory=device.type == "cuda"), chunks, num_workers)
    unreadable = UnreadableImages(len(places)) if unreadable is None else unreadable
    before = len(unreadable)
    pending: dict[torch.Size, list[tuple[np.ndarray, torch.Tensor]]] = {}
    for stacks, failures in stacked:
        for path, reason in failures:
            unreadable.add(path, reason)
        for rows, images in stacks:
            waiting = pending.setdefault(images.shape[1:], [])
            waiting.append((rows, images))
            if _size(waiting) >= batch_size:
                yield from _full(pending.pop(images.shape[1:]), batch_size, pending)
        while sum(map(_size, pending.values())) > PENDING_BATCHES * batch_size:
            largest = max(pending, key=lambda shape: _size(pending[shape]))
            yield _joined(pending.pop(largest))
    for waiting in pending.values():
        yield _joined(waiting)
    if len(unreadable) - before == len(share) > 0:
        raise PlacewiseError(f"{places.folder}: none of its images can be decoded")


def _full(waiting: list, batch_size: int, pending: dict) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Yields one full batch and puts what is left over back among the pending ones."""
    rows, images = _joined(waiting)
    yield rows[:batch_size], images[:batch_size]
    if len(rows) > batch_size:
        pending[images.shape[1:]] = [(rows[batch_size:], images[batch_size:])]


def _joined(waiting: list[tuple[np.ndarray, torch.Tensor]]) -> tuple[np.ndarray, torch.Tensor]:
    if len(waiting) == 1:
        return waiting[0]
    return np.concatenate([rows for rows, _ in waiting]), torch.cat([images for _, images in waiting])


def _size(waiting: list[tuple[np.ndarray, torch.Tensor]]) -> int:
    return sum(len(rows) for rows, _ in waiting)
