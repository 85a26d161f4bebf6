"""Geotagged photos in tar files of the webdataset layout, read in place: KEY.jpg beside KEY.json.

A shard is read once; where its images lie and what is known of them is kept in an index on disk, a file for each shard.
"""

import hashlib
import json
import logging
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from tqdm import tqdm

from commons.errors import PlacewiseError, first_line
from commons.files import CACHE, atomic_path
from datasets.geotagged.columns import ALIASES, choose_columns
from datasets.geotagged.photos import LABELS, GeoPhotos, label_column, with_labels
from datasets.listing import EXTENSIONS, warn_left_out
from datasets.places import Members, make_places
from datasets.tables import plain_name

VERSION = 1
NUMBERS = ("latitude", "longitude", "heading")
TEXTS = (".json", ".txt", ".cls")
PAIR = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*[,;\s]\s*([+-]?\d+(?:\.\d+)?)\s*$")
LARGEST_TEXT = 1 << 20
SCHEMA = pa.schema(
    [("name", pa.string()), ("offset", pa.int64()), ("size", pa.int64())]
    + [(name, pa.float64()) for name in NUMBERS]
    + [(name, pa.string()) for name in LABELS]
)


def find_shards(folder: Path) -> list[Path]:
    """Returns the tar files in a folder, or in `shards` there."""
    return sorted(folder.glob("*.tar")) or sorted((folder / "shards").glob("*.tar"))


def read_shards(folder: Path, shards: list[Path], cache: Path = CACHE) -> GeoPhotos:
    """Reads the photos of tar files without unpacking them.

    Args:
        folder: that the shards are in or below; names of photos begin with that of their shard.
        shards: the tar files.
        cache: folder of the indexes.

    Raises:
        PlacewiseError: if a shard is no tar file or damaged, or there is no image in them.
    """
    tables = []
    for shard in tqdm(shards, "Indexing shards", leave=False, disable=len(shards) < 2):
        table = _index(shard, cache)
        name = shard.relative_to(folder).as_posix()
        archive = pa.DictionaryArray.from_arrays(np.zeros(len(table), np.int32), [name])
        tables.append(table.append_column("archive", pa.chunked_array([archive])))
    table = pa.concat_tables(tables)
    if not len(table):
        raise PlacewiseError(f"{folder}: its {len(shards)} shard(s) hold no image ({', '.join(EXTENSIONS)})")
    archive = table["archive"].unify_dictionaries().combine_chunks()
    names = pc.binary_join_element_wise(archive.dictionary_decode(), table["name"].combine_chunks(), "/")
    first = np.sort(np.unique(names.dictionary_encode().indices.to_numpy(), return_index=True)[1])
    numbers = {name: table[name].to_numpy() for name in NUMBERS}
    members = Members(archive, table["offset"].to_numpy(), table["size"].to_numpy())
    photos = replace(make_places(folder, names, **numbers), members=members)
    labels = {name: label_column(table[name]) for name in LABELS}
    if len(first) < len(names):
        warn_left_out(folder, [f"{len(names) - len(first)} image(s) that repeat a name in their shard"])
        photos = photos.take(first)
        labels = {name: None if column is None else column.take(pa.array(first)) for name, column in labels.items()}
    return with_labels(photos, labels, folder)


def _index(shard: Path, cache: Path) -> pa.Table:
    """Returns the index of a shard, made anew where there is none for its size and time of change."""
    status = shard.stat()
    key = f"{VERSION}|{shard.resolve()}|{status.st_size}|{status.st_mtime_ns}"
    file = cache / "shards" / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.parquet"
    try:
        table = pa.parquet.read_table(file)
        if table.schema.equals(SCHEMA):
            return table
    except (OSError, pa.ArrowInvalid):
        pass
    table = _scan(shard)
    try:
        with atomic_path(file) as temporary:
            pa.parquet.write_table(table, temporary)
    except OSError as error:
        logging.warning(f"the index of {shard} is not kept in {file.parent}: {error.strerror}")
    return table


def _scan(shard: Path) -> pa.Table:
    """Reads all headers and texts of a tar file."""
    rows: list[dict] = []
    try:
        with tarfile.open(shard, "r:") as archive:
            for key, images, texts in _samples(archive):
                known = _known(shard, key, texts)
                for image in images:
                    rows.append({"name": image.name, "offset": image.offset_data, "size": image.size} | known)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise PlacewiseError(
            f"{shard}: is no complete tar file ({first_line(error)}): download it again; unpack compressed ones to .tar"
        ) from error
    return pa.Table.from_pylist(rows, SCHEMA)


def _samples(archive: tarfile.TarFile) -> Iterator[tuple[str, list[tarfile.TarInfo], dict[str, bytes]]]:
    """Yields the key of each sample, its images, and its texts by extension; members of a sample follow each other."""
    current, images, texts = "", [], {}
    for member in archive:
        archive.members = []  # otherwise it keeps all of them
        folder, _, base = member.name.rpartition("/")
        stem, dot, extension = base.partition(".")
        if not member.isreg() or member.issparse() or not stem:
            continue
        key = f"{folder}/{stem}" if folder else stem
        if key != current:
            if images:
                yield current, images, texts
            current, images, texts = key, [], {}
        extension = (dot + extension).lower()
        if extension in EXTENSIONS:
            images.append(member)
        elif extension in TEXTS and member.size <= LARGEST_TEXT:
            texts[extension] = archive.extractfile(member).read()
    if images:
        yield current, images, texts


def _known(shard: Path, key: str, texts: Mapping[str, bytes]) -> dict[str, float | str | None]:
    """Returns what the texts of a sample say."""
    said: dict[str, object] = {}
    for extension in TEXTS:
        if extension in texts:
            said = _parse(texts[extension]) | said
    columns = choose_columns(said)
    known: dict[str, float | str | None] = {}
    for name in NUMBERS:
        value = said.get(columns.get(name, ""))
        try:
            known[name] = np.nan if value is None or value == "" else float(value)
        except (TypeError, ValueError):
            raise PlacewiseError(f"{shard}: {key}: {name} {value} is not a number: write decimal degrees") from None
    for name in LABELS:
        value = said.get(columns.get(name, ""))
        known[name] = None if value is None else str(value)
    return known


def _parse(data: bytes) -> dict[str, object]:
    """Returns the fields of a JSON object, or latitude and longitude of a pair of numbers; nothing for other texts."""
    text = data.decode("utf-8", "replace")
    if pair := PAIR.match(text):
        return {"latitude": float(pair[1]), "longitude": float(pair[2])}
    try:
        fields = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(fields, dict):
        return {}
    wanted = {alias for aliases in ALIASES.values() for alias in aliases}
    return {name: value for field, value in fields.items() if (name := plain_name(field)) in wanted}
