"""Images packed into one file or into shared memory, for disks that are slow with many small files.

A pack has one entry for each image: the bytes of the file or, if images are resized and that takes fewer bytes, the
pixels at the target size. Reading from a pack gives bit for bit what reading the files gives.
"""

import errno
import hashlib
import logging
import shutil
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import PIL
import psutil
import torch
import torchvision
from tqdm import tqdm

from commons.errors import ArgumentError, PlacewiseError
from commons.files import atomic_path, remove_abandoned
from commons.threads import in_threads
from datasets.decoding import ImageFiles, Size, decode
from datasets.letterbox import Letterbox
from datasets.places import Places

VERSION = "1"
READERS = 16
BLOCK = 1 << 30
GIGABYTE = 1e9
# Height 0: the entry holds the bytes of the file. Size 0: the file could not be read; reading the entry reads the file
# again and raises its error.
INDEX = np.dtype([("offset", "<u8"), ("size", "<u8"), ("height", "<u4"), ("width", "<u4"), ("crc", "<u4")])
FOOTER = struct.Struct("<16sQI")
MAGIC = b"placewise images"


class CachedImages(ImageFiles):
    """The images of a table, read from a pack."""

    def __init__(self, places: Places, shorter_side: Size, pack: "DiskPack | SharedPack") -> None:
        super().__init__(places, shorter_side)
        self.pack = pack

    def load(self, row: int) -> torch.Tensor:
        """Returns image `row` undecoded, its file's bytes (uint8 (n,)), or as pixels (uint8 (3, h, w)).

        Raises:
            OSError: if the file could not be read when the pack was made, and still cannot.
            PlacewiseError: if the pack is damaged.
        """
        entry = self.pack.index[int(row)]
        if entry["size"] == 0:
            return super().load(row)
        data = torch.from_numpy(self.pack.read(entry))
        return data.view(3, int(entry["height"]), int(entry["width"])) if entry["height"] else data


def cached_images(places: Places, shorter_side: Size, cache: str, folder: Path) -> ImageFiles:
    """Returns the images of a table through a cache.

    Args:
        places: which images.
        shorter_side: pixels that the shorter side is resized to, or a Letterbox; None for images as they are.
        cache: "none" for the files themselves, "disk" for a pack in `folder`, which is made where there is none that is
            up to date, or "ram" for a pack in memory that loader workers share.
        folder: where packs lie.

    Raises:
        ArgumentError: if the pack does not fit.
        PlacewiseError: if it is damaged.
    """
    files = ImageFiles(places, shorter_side)
    if cache == "none":
        return files
    sizes, changed = _stat(places)
    if cache == "ram":
        return CachedImages(places, shorter_side, SharedPack(files, sizes))
    # One pack a folder and size is kept: two runs of different sizes do not take each other's away.
    owner = hashlib.sha256(f"{places.folder.resolve()}|{shorter_side}".encode()).hexdigest()[:8]
    path = folder / f"images_{owner}_{_key(files, sizes, changed)}.pack"
    if not path.is_file():
        remove_abandoned(folder, f".images_{owner}_*.pack")
        make_pack(files, path, least_bytes(sizes, shorter_side))
        for old in folder.glob(f"images_{owner}_*.pack"):
            if old != path:
                with suppress(OSError):  # another run removed it first, or reads it on Windows
                    old.unlink()
    pack = DiskPack(path)
    logging.info(f"Images of {places.folder} are read from {path} ({path.stat().st_size / GIGABYTE:.2f} GB)")
    return CachedImages(places, shorter_side, pack)


def least_bytes(sizes: np.ndarray, shorter_side: Size) -> int:
    """Returns what a pack of files of `sizes` bytes takes at least: pixels are only kept where they are fewer."""
    pixels = np.inf if shorter_side is None else _least_pixels(shorter_side)
    return int(np.minimum(sizes, pixels).sum()) + len(sizes) * INDEX.itemsize


def _least_pixels(size: int | Sequence[int]) -> int:
    """Returns the bytes that a resized image has at least; unknown for a box, which does not fix the other side."""
    if isinstance(size, Letterbox):
        return 0
    return 3 * size**2 if isinstance(size, int) else 3 * size[0] * size[1]


class DiskPack:
    """A pack in a file, mapped into memory: entries, index, footer. Pickles as its path."""

    def __init__(self, path: Path) -> None:
        """Raises:
        PlacewiseError: if the file is damaged.
        """
        self.path = path
        if path.stat().st_size < FOOTER.size:
            raise self._damage("it is too short")
        self.data = np.asarray(np.memmap(path, np.uint8, "r"))
        magic, count, crc = FOOTER.unpack(self.data[-FOOTER.size :].tobytes())
        start = len(self.data) - FOOTER.size - count * INDEX.itemsize
        if magic != MAGIC or start < 0 or zlib.crc32(index := self.data[start : -FOOTER.size]) != crc:
            raise self._damage("its index is wrong")
        self.index = index.view(INDEX)

    def __reduce__(self) -> tuple:
        return DiskPack, (self.path,)

    def read(self, entry: np.void) -> np.ndarray:
        """Returns a copy of the bytes of an entry of the index, uint8 (n,).

        Raises:
            PlacewiseError: if they are not those that were written.
        """
        data = self.data[int(entry["offset"]) : int(entry["offset"] + entry["size"])].copy()
        if zlib.crc32(data) != entry["crc"]:
            raise self._damage("a checksum is wrong")
        return data

    def _damage(self, what: str) -> PlacewiseError:
        return PlacewiseError(
            f"{self.path}: the image cache is damaged ({what}): delete this file and run the command again"
        )


def make_pack(files: ImageFiles, path: Path, least: int) -> None:
    """Writes the pack of a table and reads it back to check it.

    Args:
        files: the images.
        path: path of the pack; written through a temporary file.
        least: bytes that it takes at least.

    Raises:
        ArgumentError: if the disk is too full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    full = (
        f"disk needs at least {least / GIGABYTE:.2f} GB, {free / GIGABYTE:.2f} GB are free in {path.parent}: free some "
        "space, or use none"
    )
    if least > free:
        raise ArgumentError("cache_images", full)
    try:
        with atomic_path(path) as temporary:
            index = np.zeros(len(files.places), INDEX)
            with open(temporary, "wb") as stream:
                for row, data in enumerate(_entries(files)):
                    index[row] = _index_entry(data, stream.tell())
                    stream.write(data.numpy())
                stream.write(index)
                stream.write(FOOTER.pack(MAGIC, len(index), zlib.crc32(index)))
            _read_all(temporary)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ArgumentError("cache_images", f"the disk is full: {full}") from error
        raise


def _read_all(path: Path) -> None:
    """Raises PlacewiseError if a pack is damaged. Afterwards it is not mapped: Windows cannot rename mapped files."""
    pack = DiskPack(path)
    for entry in tqdm(pack.index, "checking the image cache", unit="img", leave=False):
        pack.read(entry)


class SharedPack:
    """A pack in shared memory, in blocks of about 1 GiB; workers share it however they are started."""

    def __init__(self, files: ImageFiles, sizes: np.ndarray) -> None:
        """Args:
        files: the images.
        sizes: bytes of each file.

        Raises:
            ArgumentError: if it does not fit.
        """
        self.needed = least_bytes(sizes, files.shorter_side)
        self._check_room(self.needed)
        index = np.zeros(len(sizes), INDEX)
        self.blocks: list[torch.Tensor] = []
        used, left = 0, int(sizes.sum())
        for row, data in enumerate(_entries(files)):
            if not self.blocks or used + data.numel() > len(self.blocks[-1]):
                self.blocks.append(self._block(max(data.numel(), min(BLOCK, left))))
                used = 0
            self.blocks[-1][used : used + data.numel()] = data.flatten()
            index[row] = _index_entry(data, (len(self.blocks) - 1) * BLOCK + used)
            used, left = used + data.numel(), left - int(sizes[row])
        self._index = torch.from_numpy(index.view(np.uint8)).share_memory_()
        logging.info(f"Images of {files.places.folder} are in memory ({sum(map(len, self.blocks)) / GIGABYTE:.2f} GB)")

    @property
    def index(self) -> np.ndarray:
        """One entry an image."""
        return self._index.numpy().view(INDEX)

    def read(self, entry: np.void) -> np.ndarray:
        """Returns the bytes of an entry of the index, uint8 (n,); not a copy."""
        block, start = divmod(int(entry["offset"]), BLOCK)
        return self.blocks[block].numpy()[start : start + int(entry["size"])]

    def _block(self, size: int) -> torch.Tensor:
        self._check_room(size)
        try:
            return torch.empty(size, dtype=torch.uint8).share_memory_()
        except RuntimeError as error:
            raise self._no_room() from error

    def _check_room(self, size: int) -> None:
        shared = Path("/dev/shm")
        free = [psutil.virtual_memory().available] + ([shutil.disk_usage(shared).free] if shared.is_dir() else [])
        if size > 0.9 * min(free):  # the run needs memory for itself, too
            raise self._no_room(f", {min(free) / GIGABYTE:.2f} GB are free")

    def _no_room(self, free: str = "") -> ArgumentError:
        needed = f"at least {self.needed / GIGABYTE:.2f} GB of shared memory"
        return ArgumentError("cache_images", f"ram needs {needed}{free}: use disk")


def _index_entry(data: torch.Tensor, offset: int) -> tuple[int, int, int, int, int]:
    """Returns the index entry of bytes (n,) or pixels (3, h, w) at an offset."""
    height, width = data.shape[1:] if data.ndim == 3 else (0, 0)
    return offset, data.numel(), height, width, zlib.crc32(data.numpy())


def _entries(files: ImageFiles) -> Iterator[torch.Tensor]:
    """Yields the entry of each image: bytes (n,), pixels (3, h, w), or nothing for a file that cannot be read."""

    def entry(row: int) -> torch.Tensor:
        try:
            data = files.load(row)
        except OSError:
            return torch.empty(0, dtype=torch.uint8)
        if files.shorter_side is not None and len(data) > _least_pixels(files.shorter_side):
            with suppress(OSError):
                pixels = decode(data, files.shorter_side)
                return pixels.contiguous() if pixels.numel() < len(data) else data
        return data

    rows = range(len(files.places))
    yield from tqdm(in_threads(entry, rows, READERS), "caching images", len(rows), unit="img", leave=False)


def images_key(files: ImageFiles) -> str:
    """Returns a hash of the images of a table, their files' sizes and times of change, and of the decoders."""
    return _key(files, *_stat(files.places))


def _stat(places: Places) -> tuple[np.ndarray, np.ndarray]:
    """Returns size in bytes and time of change in nanoseconds of every image, int64 (n,); zeros where there is none.

    A member of an archive was changed when its archive was.
    """

    def stat(start: int) -> list[tuple[int, int]]:
        found = []
        for row in range(start, min(start + 1000, len(places))):
            try:
                source = places.source(row)
                status = source.path.stat()
                found.append((status.st_size if source.size < 0 else source.size, status.st_mtime_ns))
            except OSError:
                found.append((0, 0))
        return found

    both = np.zeros((len(places), 2), np.int64)
    for number, found in enumerate(in_threads(stat, range(0, len(places), 1000), READERS)):
        both[1000 * number :][: len(found)] = found
    return both[:, 0], both[:, 1]


def _key(files: ImageFiles, sizes: np.ndarray, changed: np.ndarray) -> str:
    """Returns a hash of everything a pack depends on: files, target size, and the versions of the decoders."""
    key = hashlib.sha256(f"{VERSION}|{torchvision.__version__}|{PIL.__version__}|{files.shorter_side}".encode())
    names = files.places.names
    for start in range(0, len(names), 10000):
        key.update("\n".join(names.slice(start, 10000).to_pylist()).encode())
    key.update(sizes.tobytes())
    key.update(changed.tobytes())
    return key.hexdigest()[:16]
