"""Builds and changes databases of photos, with one or several processes."""

import logging
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from accelerate.utils import gather_object
from tqdm import tqdm

from commons.checkpoints import network_fingerprint
from commons.distributed import check_same, check_shared, from_main
from commons.errors import ArgumentError, PlacewiseError
from commons.files import CACHE, atomic_path
from datasets.decoding import ImageFiles, Size
from datasets.places import Places, places_key
from datasets.reading import read_places
from datasets.tables import read_table
from datasets.unreadable import UnreadableImages
from retrieval.database import (
    MANIFEST,
    NETWORK,
    Manifest,
    Part,
    StoredTable,
    is_database,
    part_of,
    read_manifest,
    save_manifest,
)
from retrieval.database_updates import (
    adopt,
    build_index,
    finished_part,
    plan_shards,
    remove,
    remove_others,
    with_shards,
    write_part,
)
from retrieval.shards import ID
from tasks.databases import UTM
from tasks.extraction import Extractor

SHARD = 8_192  # images in a file: what a kill loses at most


def start_database(
    folder: Path,
    checkpoint: Path,
    network: torch.nn.Module,
    size: Size,
    index: str,
    options: dict[str, Any],
    descriptor_type: str = "float16",
) -> Manifest:
    """Makes an empty database, with a copy of the checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / NETWORK) as temporary:
        shutil.copyfile(checkpoint, temporary)
    files = (part_of(folder, NETWORK),)
    about = network_fingerprint(network), network.descriptor_dim, size, index, options, descriptor_type
    manifest = Manifest(*about, files=files)
    save_manifest(folder, manifest)
    return manifest


def read_new_images(source: str) -> Places:
    """Reads images with positions from a folder or a table.

    Raises:
        PlacewiseError: if there is none, or one has no position.
    """
    if Path(source).is_dir():
        return read_places(source, cache=CACHE)
    places = read_table(Path(source))
    if not places.located.all():
        first = int((~places.located).argmax())
        raise PlacewiseError(f"{source}: {places.path(first)} has no position; fill in its latitude and longitude")
    return places


def add_images(
    folder: Path, manifest: Manifest, places: Places, network: torch.nn.Module, extractor: Extractor
) -> Manifest:
    """Adds the images that a database does not hold yet; returns its manifest. All processes call it.

    Each process extracts whole shards, so the files are the same for any number of processes. Finished shards are
    kept when a process is killed; the next call writes the others.

    Raises:
        PlacewiseError: if the processes do not see the same folder, images and network.
    """
    accelerator = extractor.accelerator
    check_shared(folder, accelerator, "output")
    manifest = from_main(adopt(folder, manifest) if accelerator.is_main_process else None)
    stored = StoredTable(folder, manifest).images(["path"])["path"] if manifest.shards else pa.array([], pa.string())
    new = places.take(np.flatnonzero(~pc.is_in(_paths(places), value_set=stored).to_numpy(zero_copy_only=False)))
    logging.info(f"{folder}: {manifest.count} images are in the database, {len(new)} are new")
    if not len(new) and manifest.complete:
        return manifest
    if accelerator.num_processes > 1:
        check_same("list of images", places_key(new), accelerator)
        check_same("network", network_fingerprint(network), accelerator)
    parts = gather_object(write_share(folder, manifest, new, network, extractor))
    if accelerator.is_main_process:
        manifest = with_shards(manifest, parts)
        save_manifest(folder, manifest)
        remove_others(folder, manifest)
        manifest = build_index(folder, manifest)
    return from_main(manifest)


def write_share(
    folder: Path, manifest: Manifest, new: Places, network: torch.nn.Module, extractor: Extractor
) -> list[Part]:
    """Writes this process's share of the shards of new images, except those that a killed run has finished."""
    accelerator = extractor.accelerator
    planned = plan_shards(manifest, len(new), SHARD)[accelerator.process_index :: accelerator.num_processes]
    count, parts, unreadable = sum(part.count for part in planned), [], UnreadableImages(len(new))
    hidden = not accelerator.is_main_process
    with tqdm(desc="extraction", total=count, unit="img", leave=False, disable=hidden) as bar:
        for part in planned:
            places = new.take(np.arange(part.first - manifest.next_id, part.stop - manifest.next_id))
            done = finished_part(folder, manifest, part, _paths(places))
            if done is None:
                rows, descriptors = _extracted(network, places, extractor, unreadable, bar)
                images = images_of(places.take(rows))
                done = write_part(folder, manifest, part, images, part.first + rows, descriptors)
            else:
                bar.update(part.count)
            parts.append(done)
    return parts


def _extracted(
    network: torch.nn.Module, places: Places, extractor: Extractor, unreadable: UnreadableImages, bar: tqdm
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of the images that can be decoded, ascending, and their descriptors, float32 (n, d)."""
    descriptors = np.full((len(places), network.descriptor_dim), np.nan, np.float32)
    read = np.zeros(len(places), bool)
    source = ImageFiles(places, extractor.shorter_side)
    with closing(extractor.alone(network, places, source, unreadable=unreadable)) as stream:
        for rows, values in stream:
            if not np.isfinite(values).all():
                raise PlacewiseError("descriptors contain NaN or inf; try `precision` fp32")
            descriptors[rows], read[rows] = values, True
            bar.update(len(rows))
    rows = np.flatnonzero(read)
    return rows, descriptors[rows]


def remove_images(folder: Path, manifest: Manifest, names: list[str]) -> Manifest:
    """Removes images by their paths; returns the manifest.

    Raises:
        PlacewiseError: if one is not in the database; then nothing is removed.
    """
    manifest = adopt(folder, manifest)
    if not manifest.complete:
        raise PlacewiseError(f"{folder}: the database is incomplete; repeat the command that builds it first")
    images = StoredTable(folder, manifest).images([ID, "path"])
    wanted = pa.array(sorted({str(Path(name).resolve()) for name in names}), pa.string())
    missing = wanted.filter(pc.invert(pc.is_in(wanted, value_set=images["path"])))
    if len(missing):
        raise PlacewiseError(f"{missing[0]}: is not in {folder} ({len(missing)} such paths); nothing was removed")
    return remove(folder, manifest, images.filter(pc.is_in(images["path"], value_set=wanted))[ID].to_numpy())


def images_of(places: Places) -> pa.Table:
    """Returns the columns of a shard: absolute paths, positions as their source says, headings and times."""
    columns: dict[str, Any] = {"path": _paths(places)}
    unknown = np.full(len(places), np.nan)
    columns |= dict(zip(("latitude", "longitude"), places.given_degrees or (unknown, unknown), strict=True))
    zone = np.zeros(len(places), np.int16)
    columns |= dict(zip(UTM, places.given_utm or (unknown, unknown, zone), strict=True))
    return pa.table(columns | {"heading": places.heading, "timestamp": places.timestamp})


def _paths(places: Places) -> pa.Array:
    folder = places.folder.resolve().as_posix().rstrip("/")
    return pc.binary_join_element_wise(folder, places.names, "/")


def open_manifest(folder: Path, append: bool, removing: bool) -> Manifest | None:
    """Returns the manifest of a database to change, None for a new one.

    Raises:
        ArgumentError: if there is no database to change, or one that is complete and should be built.
    """
    if is_database(folder):
        manifest = read_manifest(folder)
        if manifest.complete and not append and not removing:
            raise ArgumentError(
                "output", f"{folder} contains a database; add images with `append`, or name another folder"
            )
        return manifest
    if append or removing:
        raise ArgumentError("output", f"{folder}: contains no database ({MANIFEST}) to change")
    # A run that was killed before the manifest was there has left its lock, the network or a part of it.
    if folder.is_dir() and any(
        own.name not in (".in_use", NETWORK, MANIFEST) and own.name[:1] != "." for own in folder.iterdir()
    ):
        raise ArgumentError("output", f"{folder} is not empty; name another folder")
    return None
