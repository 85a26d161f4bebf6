"""Changes of a database of photos: images are added, indexed and removed."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa

from commons.errors import PlacewiseError
from commons.files import atomic_path
from retrieval import ivf
from retrieval.database import CENTRES, INDEX, SHARDS, Manifest, Part, StoredTable, part_of, save_manifest
from retrieval.shards import ID, map_values, read_facts, read_images, write_shard, write_values


def plan_shards(manifest: Manifest, count: int, size: int) -> list[Part]:
    """Returns the shards of `count` new images, `size` in each, without bytes and checksum; nothing is written."""
    number = 1 + max((int(Path(part.name).stem) for part in manifest.shards), default=-1)
    parts = []
    for start in range(0, count, size):
        own = min(size, count - start)
        first = manifest.next_id + start
        parts.append(Part(f"{SHARDS}/{number + len(parts):08d}.parquet", 0, "", first, first + own, own))
    return parts


def with_shards(manifest: Manifest, parts: Iterable[Part]) -> Manifest:
    """Returns the manifest with further shards, which are not indexed yet."""
    shards = (*manifest.shards, *sorted(parts, key=lambda part: part.first))
    return replace(manifest, shards=shards, next_id=shards[-1].stop if shards else 0, complete=False)


def write_part(
    folder: Path, manifest: Manifest, part: Part, images: pa.Table, ids: np.ndarray, descriptors: np.ndarray
) -> Part:
    """Writes a planned shard; returns its entry, for `with_shards`.

    Args:
        folder, manifest: the database.
        part: of `plan_shards`.
        images: columns of the images, all of `part` except those that cannot be decoded.
        ids: their numbers, ascending, int64 (n,).
        descriptors: float (n, d).
    """
    numbered = images.add_column(0, pa.field(ID, pa.int64(), nullable=False), pa.array(ids))
    facts = {"fingerprint": manifest.fingerprint, "first": part.first, "stop": part.stop}
    write_shard(folder / part.name, numbered, descriptors, facts, manifest.descriptor_type)
    return part_of(folder, part.name, part.first, part.stop, len(ids))


def finished_part(folder: Path, manifest: Manifest, part: Part, paths: pa.Array) -> Part | None:
    """Returns the entry of a planned shard that a killed run has written; None if there is no such file.

    Args:
        folder, manifest, part: as for `write_part`.
        paths: of all its images.
    """
    found = _killed(folder, part.name, manifest, part.first)
    if found is None or found.stop != part.stop:
        return None
    images = read_images(folder / part.name, [ID, "path"])
    wanted = paths.take(pa.array(images[ID].to_numpy() - part.first))
    return found if images["path"].equals(pa.chunked_array([wanted])) else None


def adopt(folder: Path, manifest: Manifest) -> Manifest:
    """Returns the manifest with the finished shards of a run that was killed, up to the first one that is missing."""
    while found := _killed(folder, plan_shards(manifest, 1, 1)[0].name, manifest, manifest.next_id):
        manifest = with_shards(manifest, [found])
    return manifest


def _killed(folder: Path, name: str, manifest: Manifest, first: int) -> Part | None:
    """Returns the entry of a whole shard that a killed run has written, with images from number `first` on."""
    try:
        facts = read_facts(folder / name)
        if (facts["fingerprint"], facts["first"]) != (manifest.fingerprint, first):
            return None
        return part_of(folder, name, first, facts["stop"], len(read_images(folder / name, [ID])))
    except (PlacewiseError, KeyError):
        return None


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
