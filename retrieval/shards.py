"""Parquet files of images and their descriptors, which are mapped into memory without being read."""

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from commons.errors import PlacewiseError, first_line
from commons.files import atomic_path

DESCRIPTOR, ID, META = "descriptor", "id", b"placewise"


def write_shard(path: Path, images: pa.Table, descriptors: np.ndarray, facts: dict[str, Any]) -> None:
    """Writes a shard atomically.

    The descriptors are one page of values without compression or encoding, so they can be mapped.

    Args:
        path: of the file.
        images: what is known of the images, with a column "id", ascending.
        descriptors: float16 (n, d).
        facts: kept in the file, as `read_facts` returns them.
    """
    count, dim = descriptors.shape
    values = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(2 * dim), count, [None, pa.py_buffer(np.ascontiguousarray(descriptors, "<f2"))]
    )
    table = images.append_column(pa.field(DESCRIPTOR, values.type, nullable=False), values)
    table = table.replace_schema_metadata({META: json.dumps(facts | {"dim": dim})})
    names = images.column_names
    options = {"max_rows_per_page": count} if "max_rows_per_page" in PARAMETERS else {}
    with atomic_path(path) as temporary:
        pq.write_table(
            table, temporary, row_group_size=count, data_page_size=2**31 - 1, use_dictionary=names,
            write_statistics=names, compression=dict.fromkeys(names, "zstd") | {DESCRIPTOR: "none"}, **options,
        )  # fmt: skip


def read_facts(path: Path) -> dict[str, Any]:
    """Returns the facts of a shard, its dimension "dim" among them.

    Raises:
        PlacewiseError: if it is damaged.
    """
    try:
        return json.loads(pq.read_schema(path).metadata[META])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error


def read_images(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Returns the columns of a shard, all but the descriptors by default.

    Raises:
        PlacewiseError: if it is damaged.
    """
    try:
        names = [name for name in pq.read_schema(path).names if name != DESCRIPTOR]
        return pq.read_table(path, columns=list(columns or names), partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def map_descriptors(path: Path) -> np.ndarray:
    """Returns the descriptors of a shard, float16 (n, d), which stay on disk.

    Raises:
        PlacewiseError: if it is damaged.
    """
    try:
        chunks = pq.read_metadata(path).row_group(0)
        schema = pq.read_schema(path)
        chunk = chunks.column(schema.get_field_index(DESCRIPTOR))
        width, count = schema.field(DESCRIPTOR).type.byte_width, chunks.num_rows
        header = chunk.total_compressed_size - count * width
        if not 0 < header < 256 or chunk.compression != "UNCOMPRESSED":
            raise ValueError("its descriptors are not one page without compression")
        return np.memmap(path, "<f2", "r", chunk.data_page_offset + header, (count, width // 2))
    except (pa.ArrowException, OSError, ValueError, AttributeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> PlacewiseError:
    return PlacewiseError(f"{path}: is missing, damaged or no shard of a database ({first_line(error)})")


class Joined:
    """Arrays of equal width one below the other, without a copy.

    Indexing with a slice or with positions of any shape returns a copy, except for a slice within one array.
    """

    def __init__(self, parts: Sequence[np.ndarray], dim: int) -> None:
        self.parts = list(parts)
        self.starts = np.cumsum([0, *map(len, self.parts)])
        self.shape, self.dtype = (int(self.starts[-1]), dim), np.dtype(np.float16)
        self.itemsize, self.nbytes = 2, 2 * self.shape[0] * dim

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: slice | np.ndarray) -> np.ndarray:
        if isinstance(chosen, slice):
            start, stop, step = chosen.indices(len(self))
            if step == 1:
                return self._range(start, max(start, stop))
            chosen = np.arange(start, stop, step)
        positions = np.asarray(chosen)
        flat = np.where(positions.ravel() < 0, positions.ravel() + len(self), positions.ravel())
        owners = np.searchsorted(self.starts, flat, "right") - 1
        taken = np.empty((len(flat), self.shape[1]), self.dtype)
        for owner in np.unique(owners):
            there = owners == owner
            taken[there] = self.parts[owner][flat[there] - self.starts[owner]]
        return taken.reshape(*positions.shape, self.shape[1])

    def _range(self, start: int, stop: int) -> np.ndarray:
        first = int(np.searchsorted(self.starts, start, "right")) - 1
        pieces = []
        while start < stop:
            end = min(stop, int(self.starts[first + 1]))
            pieces.append(self.parts[first][start - self.starts[first] : end - self.starts[first]])
            start, first = end, first + 1
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else np.empty((0, self.shape[1]), self.dtype)


PARAMETERS = inspect.signature(pq.ParquetWriter.__init__).parameters
