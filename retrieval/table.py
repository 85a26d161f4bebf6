"""Descriptors of a table of images, filled batch by batch, in memory or on disk."""

import os
from collections.abc import Callable, Iterable
from copy import copy
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from commons.errors import PlacewiseError
from commons.files import atomic_path, write_text

BLOCK = 16_384


def to_float32(vectors: np.ndarray) -> np.ndarray:
    """Returns descriptors as contiguous float32; PyTorch converts float16 in 0.4 of NumPy's time."""
    if vectors.dtype == np.float32:
        return np.ascontiguousarray(vectors)
    return torch.from_numpy(np.array(vectors)).float().numpy()


class DescriptorTable:
    """Descriptors and the rows of their images, in the order they were added.

    Takes 4 d bytes of memory an image, or 2 d bytes of disk, and 8 bytes of memory for the row. Nothing is stored
    twice, and rows that stay empty, because an image cannot be decoded, take no memory.

    Attributes:
        dim: dimension d of the descriptors.
        folder: where files of an index may lie; None for the system's temporary folder.
        columns: returns what is known of the images of some rows, lists of "path", "latitude" and "longitude", for
            engines that keep it beside the descriptors; None where nothing is known.
    """

    folder: Path | None = None
    columns: Callable[[np.ndarray], dict[str, list]] | None = None

    def __init__(self, count: int, dim: int, file: BinaryIO | None = None) -> None:
        """Makes an empty table.

        Args:
            count: the most descriptors that will be added.
            dim: their dimension.
            file: open for reading and writing; given one, descriptors lie in it in float16, else in memory in float32.
        """
        self.dim = dim
        self._rows = np.empty(count, np.int64)
        self._filled = 0
        if file is None:
            self._vectors = np.empty((count, dim), np.float32)
            return
        if hasattr(os, "posix_fallocate"):
            # A full disk raises OSError here; if a page cannot be written back later, the process is killed.
            os.posix_fallocate(file.fileno(), 0, 2 * count * dim)
        self._vectors = np.memmap(file, np.float16, "w+", shape=(count, dim))

    def __len__(self) -> int:
        return self._filled

    @property
    def rows(self) -> np.ndarray:
        """Row of each descriptor's image, int64 (n,), in the order they were added."""
        return self._rows[: self._filled]

    @property
    def vectors(self) -> np.ndarray:
        """The descriptors in the order they were added, float32 or float16 (n, d); a view."""
        return self._vectors[: self._filled]

    def add(self, extracted: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Adds (rows (b,), float32 descriptors (b, d)) as they come.

        Raises:
            PlacewiseError: if a descriptor is not finite.
        """
        for rows, descriptors in extracted:
            if not np.isfinite(descriptors).all():
                raise PlacewiseError("descriptors contain NaN or inf; try `precision` fp32")
            end = self._filled + len(rows)
            self._rows[self._filled : end] = rows
            self._vectors[self._filled : end] = descriptors
            self._filled = end

    def part(self, start: int, stop: int) -> "DescriptorTable":
        """Returns the dimensions from `start` to `stop` of all descriptors, as a view."""
        part = copy(self)
        part.dim, part._vectors = stop - start, self._vectors[:, start:stop]
        return part

    def among(self, rows: np.ndarray) -> "DescriptorTable":
        """Returns the descriptors whose rows are among some ascending ones: a copy, unless all are."""
        kept = np.flatnonzero(np.isin(self.rows, rows))
        if len(kept) == len(self):
            return self
        part = copy(self)
        part._rows, part._vectors, part._filled = self.rows[kept], self.vectors[kept], len(kept)
        return part

    def renumbered(self, rows: np.ndarray) -> "DescriptorTable":
        """Returns the descriptors of some ascending rows, which become 0, 1, ...: a copy, unless all are among them."""
        part = copy(self.among(rows))
        part._rows = np.searchsorted(rows, part.rows)
        return part

    def descriptors(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Returns the descriptors in ascending order of their rows, from `start` to `stop`: float32 (n, d), a copy."""
        order = np.argsort(self.rows, kind="stable")[start:stop]
        return self.vectors[order].astype(np.float32, copy=False)

    def save(self, folder: Path, name: str, path: Callable[[int], Path]) -> None:
        """Writes <name>_descriptors.npy, float32 (n, d), and the image paths in the same order to <name>_paths.txt."""
        with atomic_path(folder / f"{name}_descriptors.npy") as temporary:
            header = {
                "descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)),
                "fortran_order": False,
                "shape": (len(self), self.dim),
            }
            order = np.argsort(self.rows, kind="stable")
            with open(temporary, "wb") as file:
                np.lib.format.write_array_header_1_0(file, header)
                for start in range(0, len(self), BLOCK):
                    file.write(self.vectors[order[start : start + BLOCK]].astype(np.float32, copy=False).tobytes())
        lines = (f"{path(row)}\n" for row in self.rows[order])
        write_text(folder / f"{name}_paths.txt", "".join(lines))
