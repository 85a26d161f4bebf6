"""Keypoints on disk: each image is worked on once, also by later runs."""

import hashlib
import logging
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Lock

import numpy as np

from commons.files import atomic_path
from commons.threads import in_threads
from matchers.matcher import Keypoints, Matcher, no_keypoints

SMALLEST = 16  # pixels; smaller images have no keypoints
MEMORY = 256 << 20  # bytes of keypoints that are kept in memory


class KeypointCache:
    """The keypoints of images by path, a file each (about 140 kB for SIFT).

    A file is found by what the keypoints depend on: the matcher's `features`, the size that images are read at, and
    path, size and time of the image. It is written under a temporary name and renamed, so runs can share a folder. A
    damaged file is written again. Recently used keypoints stay in memory, up to `memory` bytes. Several threads may
    use a cache.

    Attributes:
        extracted: how many images were not in the folder yet.
    """

    def __init__(
        self,
        matcher: Matcher,
        folder: Path,
        read: Callable[[Path], np.ndarray],
        reading: str = "",
        memory: int = MEMORY,
    ) -> None:
        """Args:
        matcher: extracts keypoints.
        folder: where the files lie; is created.
        read: function that reads the RGB image of a path, uint8 (h, w, 3).
        reading: says how `read` changes images.
        memory: the most bytes to keep in memory.
        """
        self.matcher, self.folder, self.read, self.reading, self.memory = matcher, Path(folder), read, reading, memory
        self.extracted = 0
        self._recent: OrderedDict[Path, Keypoints] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def fill(self, paths: Iterable[Path], threads: int = 0) -> Iterator[Path]:
        """Extracts the keypoints of all images that are not in the folder; yields each path when it is done."""

        def extract(path: Path) -> Path:
            self.load(path)
            return path

        return in_threads(extract, paths, threads if self.matcher.extracts_in_threads else 0)

    def load(self, path: Path) -> Keypoints:
        """Returns the keypoints of an image; an image that cannot be read has none."""
        with self._lock:
            if path in self._recent:
                self._recent.move_to_end(path)
                return self._recent[path]
        try:
            file = self.file(path)
            found = _load(file)
            if found is None:
                found = self._extract(path)
                _save(found, file)
                with self._lock:
                    self.extracted += 1
        except OSError as error:
            if not path.is_file() or isinstance(error, UnreadableImage):
                logging.warning(f"{path}: the image cannot be read and has no keypoints ({error})")
                found = no_keypoints()
            else:  # the cache's own folder: a full disk, no permission
                raise
        self._keep(path, found)
        return found

    def file(self, path: Path) -> Path:
        """Returns the file for the keypoints of an image.

        Raises:
            OSError: if there is no such image.
        """
        status = path.stat()
        about = (self.matcher.features, self.reading, path.resolve(), status.st_size, status.st_mtime_ns)
        text = "\n".join(map(str, about)).encode("utf-8", "surrogateescape")
        name = hashlib.blake2b(text, digest_size=16).hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.npz"

    def _extract(self, path: Path) -> Keypoints:
        try:
            image = self.read(path)
        except OSError as error:
            raise UnreadableImage(str(error)) from error
        height, width = image.shape[:2]
        if min(height, width) < SMALLEST:
            return no_keypoints(width, height)
        return self.matcher.extract(np.ascontiguousarray(image))

    def _keep(self, path: Path, found: Keypoints) -> None:
        with self._lock:
            if path in self._recent:
                return
            self._recent[path] = found
            self._bytes += _size(found)
            while self._bytes > self.memory:
                self._bytes -= _size(self._recent.popitem(last=False)[1])


class UnreadableImage(OSError):
    """An image whose file is missing or damaged."""


def _size(found: Keypoints) -> int:
    return sum(values.nbytes for values in found)


def _save(found: Keypoints, file: Path) -> None:
    with atomic_path(file) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **found._asdict())


def _load(file: Path) -> Keypoints | None:
    """Returns what a file holds; None if there is no such file or it is damaged."""
    try:
        with np.load(file, allow_pickle=False) as held:
            return Keypoints(*(held[name] for name in Keypoints._fields))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
