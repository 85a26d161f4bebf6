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
from retrieval.codes import CODECS, CODES_PART, FLOATS, Coded, Joined

BLOCK = 16_384


def to_float32(vectors: np.ndarray) -> np.ndarray:
    """Returns descriptors as contiguous float32; PyTorch converts float16 in 0.4 of NumPy's time."""
    if vectors.dtype == np.float32:
        return np.ascontiguousarray(vectors)
    return torch.from_numpy(np.array(vectors)).float().numpy()


def _array(shape: tuple[int, int], dtype: np.dtype | type, file: BinaryIO | None) -> np.ndarray:
    """Returns an array without values, in memory or in a file."""
    if file is None:
        return np.empty(shape, dtype)
    if hasattr(os, "posix_fallocate"):
        # A full disk raises OSError here; if a page cannot be written back later, the process is killed.
        os.posix_fallocate(file.fileno(), 0, shape[0] * shape[1] * np.dtype(dtype).itemsize)
    return np.memmap(file, dtype, "w+", shape=shape)


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

    def __init__(self, count: int, dim: int, file: BinaryIO | None = None, kind: str | None = None) -> None:
        """Makes an empty table.

        Args:
            count: the most descriptors that will be added.
            dim: their dimension.
            file: open for reading and writing; given one, descriptors lie in it, else in memory.
            kind: "float32" or "float16"; by default float16 in a file and float32 in memory.
        """
        self.dim = dim
        self._rows = np.empty(count, np.int64)
        self._filled = 0
        self._vectors = _array((count, dim), FLOATS[kind or ("float32" if file is None else "float16")], file)

    def __len__(self) -> int:
        return self._filled

    @property
    def kind(self) -> str:
        """How the descriptors are stored, one of retrieval.DESCRIPTOR_TYPES."""
        return self.vectors.dtype.name

    @property
    def bytes_a_descriptor(self) -> int:
        """Bytes that a descriptor takes."""
        return self.dim * self.vectors.dtype.itemsize

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


class CodedTable(DescriptorTable):
    """The descriptors of a table in one byte or one bit a dimension; `vectors` decodes the ones that are asked for.

    8,192 descriptors share the numbers of their codes, so a table is coded block by block.
    """

    def __init__(self, table: DescriptorTable, kind: str, file: BinaryIO | None = None) -> None:
        """Codes a table.

        Args:
            table: descriptors.
            kind: one of retrieval.codes.CODECS.
            file: where the codes lie; None for memory.
        """
        self.dim, self.folder, self.columns = table.dim, table.folder, table.columns
        self._rows, self._filled, self._kind = table.rows, len(table), kind
        blocks = [slice(start, start + CODES_PART) for start in range(0, len(table), CODES_PART)]
        codecs, codes = [], np.empty((0, 0), np.uint8)
        for block in blocks:
            vectors = to_float32(table.vectors[block])
            codecs.append(CODECS[kind].fit(vectors))
            if not codes.size:
                codes = _array((len(table), codecs[0].width), np.uint8, file)
            codes[block] = codecs[-1].encode(vectors)
        self._vectors = Joined([Coded(codes[own], codec) for own, codec in zip(blocks, codecs, strict=True)], self.dim)

    @property
    def vectors(self) -> Joined | np.ndarray:
        """The descriptors, float32 (n, d), in the order they were added; they are decoded where it is indexed."""
        return self._vectors

    @property
    def kind(self) -> str:
        """How the descriptors are stored, one of retrieval.DESCRIPTOR_TYPES."""
        return self._kind

    @property
    def bytes_a_descriptor(self) -> int:
        """Bytes that a descriptor takes."""
        return self.vectors.nbytes // max(1, len(self))


def stored_as(table: DescriptorTable, kind: str, file: BinaryIO | None = None) -> DescriptorTable:
    """Returns the descriptors of a table in another type: a copy, or the table itself if they have it.

    Args:
        table: descriptors.
        kind: one of retrieval.DESCRIPTOR_TYPES.
        file: open for reading and writing, where the copy lies; None for memory.
    """
    if table.kind == kind:
        return table
    if kind in CODECS:
        return CodedTable(table, kind, file)
    copied = DescriptorTable(len(table), table.dim, file, kind)
    copied.folder, copied.columns = table.folder, table.columns
    blocks = (slice(start, start + BLOCK) for start in range(0, len(table), BLOCK))
    copied.add((table.rows[block], table.vectors[block]) for block in blocks)
    return copied
