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
import logging
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa

from commons.errors import ArgumentError, PlacewiseError, first_line
from commons.files import atomic_path, write_text
from retrieval import ivf
from retrieval.codes import Joined
from retrieval.index import LOOK_FOR, ranked
from retrieval.shards import ID, map_descriptors, map_values, read_facts, read_images, write_shard, write_values
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


def add_shard(folder: Path, manifest: Manifest, images: pa.Table, descriptors: np.ndarray) -> Manifest:
    """Writes a shard of new images; the caller saves the manifest that is returned, or `adopt` finds the shard.

    Args:
        folder, manifest: the database.
        images: columns, without numbers.
        descriptors: float (n, d).
    """
    first, count = manifest.next_id, len(descriptors)
    name = f"{SHARDS}/{_next(folder / SHARDS):08d}.parquet"
    numbered = images.add_column(0, pa.field(ID, pa.int64(), nullable=False), pa.array(range(first, first + count)))
    facts = {"fingerprint": manifest.fingerprint, "first": first}
    write_shard(folder / name, numbered, descriptors, facts, manifest.descriptor_type)
    part = part_of(folder, name, first, first + count, count)
    return replace(manifest, shards=(*manifest.shards, part), next_id=first + count, complete=False)


def adopt(folder: Path, manifest: Manifest) -> Manifest:
    """Returns the manifest with the finished shards of a run that was killed; removes files that do not belong."""
    known = {part.name for part in manifest.parts}
    for path in sorted((folder / SHARDS).glob("[0-9]*.parquet")):
        name = f"{SHARDS}/{path.name}"
        if name in known or not _follows(path, manifest):
            continue
        count = len(read_images(path, [ID]))
        part = part_of(folder, name, manifest.next_id, manifest.next_id + count, count)
        shards = (*manifest.shards, part)
        manifest = replace(manifest, shards=shards, next_id=part.stop, complete=False)
    remove_others(folder, manifest)
    return manifest


def _follows(path: Path, manifest: Manifest) -> bool:
    """Whether a file is a whole shard that a killed run has added."""
    try:
        facts = read_facts(path)
    except PlacewiseError:
        return False
    return (facts["fingerprint"], facts["first"]) == (manifest.fingerprint, manifest.next_id)


def remove_others(folder: Path, manifest: Manifest) -> None:
    """Removes the files in the folders of the database that are not in its manifest, and temporary ones."""
    known = {part.name for part in manifest.parts}
    for own in (SHARDS, INDEX):
        for path in (folder / own).glob("*"):
            if f"{own}/{path.name}" not in known:
                path.unlink()


def _next(folder: Path) -> int:
    return 1 + max((int(path.stem) for path in folder.glob("[0-9]*")), default=-1)


def build_index(folder: Path, manifest: Manifest) -> Manifest:
    """Indexes the images that no segment holds, saves the manifest after each segment, and returns the complete one.

    The first call chooses the lists; what is added later is sorted into them.
    """
    if manifest.index != "flat" and manifest.count:
        table = StoredTable(folder, manifest)
        if not any(part.name == CENTRES for part in manifest.files):
            lists = manifest.index_options.get("lists", 0)
            with atomic_path(folder / CENTRES) as temporary:
                faiss.write_index(ivf.train(table.vectors, manifest.index, lists), str(temporary))
            index = faiss.read_index(str(folder / CENTRES))
            nprobe = manifest.index_options.get("nprobe") or ivf.choose_nprobe(index, table)
            options = manifest.index_options | {"nprobe": nprobe}
            manifest = replace(manifest, files=(*manifest.files, part_of(folder, CENTRES)), index_options=options)
        index = faiss.read_index(str(folder / CENTRES))
        indexed = max((segment.stop for segment in manifest.segments), default=0)
        begin = int(np.searchsorted(table.ids, indexed))
        for start, stop in ivf.segments(index, len(table) - begin):
            ids = table.ids[begin + start : begin + stop]
            name = f"{INDEX}/{_next(folder / INDEX):08d}.lists"
            ivf.write_segment(index, table.vectors[begin + start : begin + stop], ids, folder / name)
            part = part_of(folder, name, int(ids[0]), int(ids[-1]) + 1, len(ids))
            manifest = replace(manifest, segments=(*manifest.segments, part))
            save_manifest(folder, manifest)
        if index.nlist < max(1, int(len(table) ** 0.5) // 4):
            logging.info(f"{folder}: has grown 16-fold since its index was trained; build it again for a faster search")
    manifest = replace(manifest, complete=True)
    save_manifest(folder, manifest)
    return manifest


def remove(folder: Path, manifest: Manifest, ids: np.ndarray) -> Manifest:
    """Removes images from shards and index, and saves the manifest.

    Args:
        folder, manifest: the database.
        ids: numbers of the images, int64 (n,).

    Raises:
        PlacewiseError: if no image would be left.
    """
    if len(ids) >= manifest.count:
        raise PlacewiseError(f"{folder}: no image would be left; delete the folder instead")
    shards = [_shard_without(folder, shard, ids) for shard in manifest.shards]
    segments = list(manifest.segments)
    for number, segment in enumerate(segments):
        own = ids[(ids >= segment.first) & (ids < segment.stop)]
        if len(own):
            segments[number] = _segment_without(folder, segment, own)
    kept = [tuple(part for part in parts if part.count) for parts in (shards, segments)]
    manifest = replace(manifest, shards=kept[0], segments=kept[1])
    save_manifest(folder, manifest)
    remove_others(folder, manifest)
    return manifest


def _shard_without(folder: Path, shard: Part, ids: np.ndarray) -> Part:
    own = ids[(ids >= shard.first) & (ids < shard.stop)]
    if not len(own):
        return shard
    images = read_images(folder / shard.name)
    kept = np.flatnonzero(~np.isin(images[ID].to_numpy(), own))
    if not len(kept):
        return replace(shard, count=0)
    name = f"{SHARDS}/{_next(folder / SHARDS):08d}.parquet"
    values = map_values(folder / shard.name)[kept]
    facts = read_facts(folder / shard.name) | {"first": -1}  # no later run takes it for a new shard
    write_values(folder / name, images.take(kept), values, facts)
    return part_of(folder, name, shard.first, shard.stop, len(kept))


def _segment_without(folder: Path, segment: Part, ids: np.ndarray) -> Part:
    index = faiss.read_index(str(folder / CENTRES))
    lists = ivf.read_lists(folder / segment.name, mapped=False)
    index.replace_invlists(lists, False)
    index.remove_ids(faiss.IDSelectorBatch(ids))
    name = f"{INDEX}/{_next(folder / INDEX):08d}.lists"
    ivf.write_lists(lists, folder / name)
    return part_of(folder, name, segment.first, segment.stop, segment.count - len(ids))


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
