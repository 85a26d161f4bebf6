"""A database of photos in a folder: shards with descriptors, an index, a network, and a manifest of them.

    db/manifest.json          what belongs to the database, with sizes and checksums
    db/network.pth            the network that extracted the descriptors
    db/shards/00000000.parquet    paths, positions and descriptors
    db/index/centres.faiss, db/index/00000000.lists

Images have numbers, "id", which ascend and are never used again. What changes a database first writes new files, then
the manifest, and then removes files that no longer belong to it, so a kill leaves the old or the new state.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa

from commons.errors import ArgumentError, PlacewiseError, first_line
from commons.files import write_text
from retrieval import ivf
from retrieval.codes import Joined
from retrieval.index import LOOK_FOR, ranked
from retrieval.shards import ID, map_descriptors, read_images
from retrieval.table import DescriptorTable

MANIFEST, NETWORK, SHARDS, INDEX, CENTRES = "manifest.json", "network.pth", "shards", "index", "index/centres.faiss"
FORMAT = 1


@dataclass(frozen=True)
class Part:
    """A file of the database.

    Attributes:
        name: path in the folder.
        bytes, checksum: of the file.
        first, stop: the images' numbers are in [first, stop).
        count: images.
    """

    name: str
    bytes: int
    checksum: str
    first: int = 0
    stop: int = 0
    count: int = 0


@dataclass(frozen=True)
class Manifest:
    """What a database consists of.

    Attributes:
        fingerprint: fingerprint of the network.
        dim: dimension of descriptors.
        image_size: size of the shorter side of images, or height and width; None for images as they are.
        index: name of the index, of retrieval.ivf.KINDS, or "flat".
        index_options: options of the index.
        descriptor_type: how descriptors are stored, one of retrieval.DESCRIPTOR_TYPES.
        next_id: number of the next image.
        complete: whether all images and the index are there.
        files: network and centres of the index; `shards`, `segments`: of descriptors and of the index.
    """

    fingerprint: str
    dim: int
    image_size: int | list[int] | None
    index: str = "ivf_fp16"
    index_options: dict[str, int] = field(default_factory=dict)
    descriptor_type: str = "float16"
    next_id: int = 0
    complete: bool = False
    files: tuple[Part, ...] = ()
    shards: tuple[Part, ...] = ()
    segments: tuple[Part, ...] = ()
    format: int = FORMAT

    @property
    def parts(self) -> tuple[Part, ...]:
        """All files."""
        return self.files + self.shards + self.segments

    @property
    def count(self) -> int:
        """Number of images."""
        return sum(shard.count for shard in self.shards)


def is_database(folder: str | Path) -> bool:
    """Whether a folder holds a database of photos."""
    return (Path(folder) / MANIFEST).is_file()


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest, and compares sizes of files.

    Raises:
        PlacewiseError: if it is damaged, of another version, or files are missing or have other sizes.
    """
    path = folder / MANIFEST
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        if entries["format"] != FORMAT:
            raise PlacewiseError(f"{path}: has format {entries['format']}, and this version reads {FORMAT}")
        for name in ("files", "shards", "segments"):
            entries[name] = tuple(Part(**entry) for entry in entries[name])
        manifest = Manifest(**entries)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PlacewiseError(
            f"{path}: is missing or damaged ({first_line(error)}); build the database again"
        ) from error
    for part in manifest.parts:
        file = folder / part.name
        size = file.stat().st_size if file.is_file() else -1
        if size != part.bytes:
            there = "is missing" if size < 0 else f"has {size} bytes instead of {part.bytes}"
            raise PlacewiseError(f"{file}: {there}; the database is damaged: restore the file or build it again")
    return manifest


def check_files(folder: Path) -> Manifest:
    """Compares all files with their checksums.

    Raises:
        PlacewiseError: if one differs, and as `read_manifest`.
    """
    manifest = read_manifest(folder)
    for part in manifest.parts:
        if _checksum(folder / part.name) != part.checksum:
            raise PlacewiseError(
                f"{folder / part.name}: its checksum differs; the database is damaged: restore the file, or build it "
                "again"
            )
    return manifest


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest atomically."""
    write_text(folder / MANIFEST, json.dumps(asdict(manifest), indent=1))


def part_of(folder: Path, name: str, first: int = 0, stop: int = 0, count: int = 0) -> Part:
    """Returns the entry of a file in the manifest."""
    return Part(name, (folder / name).stat().st_size, _checksum(folder / name), first, stop, count)


def _checksum(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class StoredTable(DescriptorTable):
    """The descriptors of a database, which stay on disk; rows are positions in it.

    Attributes:
        ids: numbers of the images, ascending, int64 (n,).
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Opens the shards.

        Raises:
            PlacewiseError: if one is damaged or has another dimension.
        """
        self.dim, self.manifest, self.database = manifest.dim, manifest, folder
        parts = [map_descriptors(folder / shard.name) for shard in manifest.shards]
        for shard, part in zip(manifest.shards, parts, strict=True):
            if part.shape != (shard.count, self.dim):
                raise PlacewiseError(
                    f"{folder / shard.name}: has {part.shape[0]} descriptors of dimension {part.shape[1]} instead of "
                    f"{shard.count} of {self.dim}; the database is damaged: build it again"
                )
        self._vectors, self._filled = Joined(parts, self.dim), manifest.count
        self._rows = np.arange(manifest.count)
        self.ids = self.images([ID])[ID].to_numpy()

    @property
    def vectors(self) -> Joined | np.ndarray:
        """The descriptors, (n, d), without a copy."""
        return self._vectors

    @property
    def kind(self) -> str:
        """How the descriptors are stored, one of retrieval.DESCRIPTOR_TYPES."""
        return self.manifest.descriptor_type

    @property
    def bytes_a_descriptor(self) -> int:
        """Bytes that a descriptor takes."""
        return self.vectors.nbytes // max(1, len(self))

    def images(self, columns: list[str] | None = None) -> pa.Table:
        """Returns what is known of the images."""
        tables = [read_images(self.database / shard.name, columns) for shard in self.manifest.shards]
        return pa.concat_tables(tables, promote_options="default").combine_chunks()

    @cached_property
    def index(self) -> "StoredIndex | None":
        """The index of the database; None for "flat"."""
        return StoredIndex(self) if self.manifest.segments else None


class StoredIndex:
    """Searches the index of a database."""

    def __init__(self, table: StoredTable) -> None:
        folder, manifest = table.database, table.manifest
        index = faiss.read_index(str(folder / CENTRES))
        files = [folder / segment.name for segment in manifest.segments]
        self.lists = ivf.Lists(index, files, manifest.index_options["nprobe"])
        self.ids, self.vectors, self.exact = table.ids, table.vectors, manifest.index == "ivf_fp16"

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns inner products and positions as Index does, best first."""
        wanted = k if self.exact else min(max(2 * k, LOOK_FOR), len(self.ids))
        similarities, found = self.lists.search(queries, wanted)
        positions = np.where(found < 0, -1, np.searchsorted(self.ids, found))
        return (similarities, positions) if self.exact else ranked(self.vectors, queries, positions, k)


def stored(table: DescriptorTable, k: int) -> Any:
    """Searches with the index that a database of tools.build_database was built with."""
    from retrieval.index import Flat

    if not isinstance(table, StoredTable) or len(table) != len(table.ids):
        raise ArgumentError("index", "stored is for databases of tools.build_database; use flat")
    return table.index or Flat(table, k)
