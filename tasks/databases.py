"""Databases of photos: extracted once, then opened by eval.py and localize.py without the images."""

import hashlib
import logging
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from commons.errors import ArgumentError, PlacewiseError
from commons.files import CACHE, atomic_path
from datasets.decoding import ImageFiles, Size
from datasets.places import Places, make_places
from datasets.reading import read_places
from datasets.tables import read_table
from model.test_time import keep_first
from retrieval.database import (
    MANIFEST,
    NETWORK,
    Manifest,
    StoredTable,
    add_shard,
    adopt,
    build_index,
    is_database,
    part_of,
    read_manifest,
    remove,
    save_manifest,
)
from retrieval.shards import ID
from tasks.extraction import Extractor

SHARD = 8_192  # images in a file: what a kill loses at most
UTM = ("utm_east", "utm_north", "utm_zone")


@dataclass(frozen=True)
class Database:
    """A database that is open.

    Attributes:
        folder: folder of the database.
        manifest: what it consists of.
        places: its images; their files are not needed.
        table: their descriptors, in the same order.
    """

    folder: Path
    manifest: Manifest
    places: Places
    table: StoredTable

    def match(self, network: torch.nn.Module, size: Size) -> None:
        """As `match_network`; also raises PlacewiseError if the images of the database had another size."""
        match_network(self.folder, self.manifest, network)
        if size != self.manifest.image_size:
            raise PlacewiseError(
                f"{self.folder}: its images have the size {self.manifest.image_size}, but the photos would have "
                f"{size}; give the same `image_size`, or build the database again"
            )


def open_database(folder: str | Path) -> Database:
    """Opens a database of tools.build_database; descriptors and index stay on disk.

    Raises:
        PlacewiseError: if it is damaged, or its building did not end.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if not manifest.complete:
        raise PlacewiseError(f"{folder}: the database is incomplete; repeat the command of tools.build_database")
    table = StoredTable(folder, manifest)
    places = _places(table.images())
    table.columns = lambda rows: _known(places.take(rows))
    return Database(folder, manifest, places, table)


def network_fingerprint(network: torch.nn.Module) -> str:
    """Returns a hash of the names and values of a network's weights."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def match_network(folder: Path, manifest: Manifest, network: torch.nn.Module) -> None:
    """Makes a network return as many dimensions of its descriptors as a database holds.

    Raises:
        PlacewiseError: if another network extracted the descriptors of the database.
    """
    same = network_fingerprint(network) == manifest.fingerprint
    if same and network.descriptor_dim > manifest.dim:
        keep_first(network, manifest.dim)
    if not same or network.descriptor_dim != manifest.dim:
        raise PlacewiseError(
            f"{folder}: another network extracted its descriptors ({manifest.dim} dimensions); use {folder / NETWORK}, "
            "or build the database again"
        )


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
    """Adds the images that a database does not hold yet; returns its manifest.

    Shards that are finished stay when the process is killed; the next call goes on behind them.
    """
    manifest = adopt(folder, manifest)
    stored = StoredTable(folder, manifest).images(["path"])["path"] if manifest.shards else pa.array([], pa.string())
    new = places.take(np.flatnonzero(~pc.is_in(_paths(places), value_set=stored).to_numpy(zero_copy_only=False)))
    logging.info(f"{folder}: {manifest.count} images are in the database, {len(new)} are new")
    if not len(new) and manifest.complete:
        return manifest
    source = ImageFiles(new, extractor.shorter_side)
    dtype = np.float32 if manifest.descriptor_type == "float32" else np.float16
    with closing(_shards(extractor.stream(network, new, source, "extraction"), dtype)) as shards:
        for rows, descriptors in shards if len(new) else ():
            manifest = add_shard(folder, manifest, images_of(new.take(rows)), descriptors)
    save_manifest(folder, manifest)
    return build_index(folder, manifest)


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


def _places(images: pa.Table) -> Places:
    """Returns the places that `images_of` has made columns of."""
    values = {name: images[name].to_numpy() for name in ("latitude", "longitude", *UTM, "heading")}
    for names in (("latitude", "longitude"), UTM):
        if np.isnan(values[names[0]]).all():
            values |= dict.fromkeys(names)
    return make_places(
        Path(), images["path"].combine_chunks(), timestamp=images["timestamp"].combine_chunks(), **values
    )


def _known(places: Places) -> dict[str, list]:
    return {
        "path": places.names.to_pylist(), "latitude": places.latitude.tolist(), "longitude": places.longitude.tolist()
    }  # fmt: skip


def _paths(places: Places) -> pa.Array:
    folder = places.folder.resolve().as_posix().rstrip("/")
    return pc.binary_join_element_wise(folder, places.names, "/")


def _shards(
    stream: Iterator[tuple[np.ndarray, np.ndarray]], dtype: type
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields rows and descriptors of a type, SHARD of them at a time, in ascending order of their rows.

    Raises:
        PlacewiseError: if a descriptor is not finite.
    """
    rows: list[np.ndarray] = []
    vectors: list[np.ndarray] = []
    with closing(stream):
        for own, descriptors in stream:
            if not np.isfinite(descriptors).all():
                raise PlacewiseError("descriptors contain NaN or inf; try `precision` fp32")
            rows.append(own)
            vectors.append(descriptors.astype(dtype))
            if sum(map(len, rows)) >= SHARD:
                yield _sorted(rows, vectors)
                rows, vectors = [], []
        if rows:
            yield _sorted(rows, vectors)


def _sorted(rows: list[np.ndarray], vectors: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    joined = np.concatenate(rows)
    order = np.argsort(joined, kind="stable")
    return joined[order], np.concatenate(vectors)[order]


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
