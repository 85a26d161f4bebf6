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
from retrieval.codes import CODECS, FLOATS, Coded, codec_facts, codec_from

DESCRIPTOR, ID, META = "descriptor", "id", b"placewise"


def write_shard(
    path: Path, images: pa.Table, descriptors: np.ndarray, facts: dict[str, Any], kind: str = "float16"
) -> None:
    """Writes a shard atomically.

    The descriptors are one page of values without compression or encoding, so they can be mapped.

    Args:
        path: path of the file.
        images: what is known of the images, with a column "id", ascending.
        descriptors: float (n, d).
        facts: kept in the file, as `read_facts` returns them.
        kind: how descriptors are stored, one of retrieval.DESCRIPTOR_TYPES.
    """
    facts = facts | {"dim": descriptors.shape[1]}
    if kind in FLOATS:
        values = descriptors.astype(FLOATS[kind].newbyteorder("<"), copy=False)
        facts |= {} if kind == "float16" else {"type": kind}
    else:
        single = descriptors.astype(np.float32)
        codec = CODECS[kind].fit(single)
        values, facts = codec.encode(single), facts | {"type": kind} | codec_facts(codec)
    write_values(path, images, values, facts)


def write_values(path: Path, images: pa.Table, values: np.ndarray, facts: dict[str, Any]) -> None:
    """Writes a shard of descriptors as they are stored, (n, values), as `write_shard` does."""
    count, width = values.shape[0], values.shape[1] * values.itemsize
    values = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), count, [None, pa.py_buffer(np.ascontiguousarray(values))]
    )
    table = images.append_column(pa.field(DESCRIPTOR, values.type, nullable=False), values)
    table = table.replace_schema_metadata({META: json.dumps(facts)})
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
        with pq.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if name != DESCRIPTOR]
            return file.read(list(columns or names), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def map_descriptors(path: Path) -> np.ndarray | Coded:
    """Returns the descriptors of a shard, (n, d), which stay on disk.

    Raises:
        PlacewiseError: if it is damaged.
    """
    values, facts = _map(path)
    try:
        facts = json.loads(facts[META])
        kind = facts.get("type", "float16")
        if kind in FLOATS:
            return values.view(FLOATS[kind].newbyteorder("<"))
        return Coded(values, codec_from(kind, facts))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error


def map_values(path: Path) -> np.ndarray:
    """Returns the descriptors of a shard as they are stored, uint8 (n, bytes), which stay on disk.

    Raises:
        PlacewiseError: if it is damaged.
    """
    return _map(path)[0]


def _map(path: Path) -> tuple[np.ndarray, dict[bytes, bytes] | None]:
    """Returns the descriptors of a shard as they are stored, and the metadata of its schema."""
    try:
        with pq.ParquetFile(path) as file:
            chunks, schema = file.metadata.row_group(0), file.schema_arrow
        chunk = chunks.column(schema.get_field_index(DESCRIPTOR))
        width, count = schema.field(DESCRIPTOR).type.byte_width, chunks.num_rows
        header = chunk.total_compressed_size - count * width
        if not 0 < header < 256 or chunk.compression != "UNCOMPRESSED":
            raise ValueError("its descriptors are not one uncompressed page")
        values = np.memmap(path, np.uint8, "r", chunk.data_page_offset + header, (count, width))
        return values, schema.metadata
    except (pa.ArrowException, OSError, ValueError, AttributeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> PlacewiseError:
    return PlacewiseError(f"{path}: is missing, damaged or not a shard of a database ({first_line(error)})")


PARAMETERS = inspect.signature(pq.ParquetWriter.__init__).parameters
