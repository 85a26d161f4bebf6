"""Reads geotagged photos from whatever they come in."""

from pathlib import Path

from commons.errors import PlacewiseError
from commons.files import CACHE
from datasets.geotagged.columns import choose_columns, column_types
from datasets.geotagged.folders import is_folder_per_place, read_folder_per_place, read_photo_folder
from datasets.geotagged.photos import GeoPhotos
from datasets.geotagged.shards import find_shards, read_shards
from datasets.geotagged.tables import read_photo_table
from datasets.tables import Columns, find_table

TABLES = (".csv", ".tsv", ".parquet")
SPLITS = ("train", "val", "test")


def read_geotagged(source: str | Path, images: str | Path | None = None, cache: Path = CACHE) -> GeoPhotos:
    """Reads photos and where they were taken.

    Args:
        source: a table (`read_photo_table`), a tar file, or a folder with a single table, with tar files
            (`read_shards`), with a folder for each place (`read_folder_per_place`), or with photos
            (`read_photo_folder`).
        images: folder of the images of a table; None if they lie beside it.
        cache: folder where the indexes of tar files are kept.

    Returns:
        Photos, whose positions are NaN where unknown. What is left out is counted in warnings.

    Raises:
        PlacewiseError: if the source is missing, empty, damaged or of no known layout.
    """
    source, images = Path(source), None if images is None else Path(images)
    if source.is_file():
        if source.suffix.lower() == ".tar":
            return read_shards(source.parent, [source], cache)
        if source.suffix.lower() not in TABLES:
            raise PlacewiseError(f"{source}: is no table ({', '.join(TABLES)}), no .tar file and no folder")
        return read_photo_table(source, images)
    if not source.is_dir():
        raise PlacewiseError(f"{source}: there is no such file or folder")
    table = _table_in(source)
    if table is not None:
        return read_photo_table(table, images)
    if shards := find_shards(source):
        return read_shards(source, shards, cache)
    if is_folder_per_place(source):
        return read_folder_per_place(source)
    return read_photo_folder(source)


def find_splits(folder: str | Path) -> dict[str, Path]:
    """Returns what `read_geotagged` takes for each of train, val and test that a folder has.

    They are `train.csv` (or .tsv, .parquet) in the folder, the same in `train/`, or the folder `train/` itself.
    """
    folder = Path(folder)
    found = {}
    for name in SPLITS:
        tables = [above / f"{name}{kind}" for above in (folder, folder / name) for kind in TABLES]
        table = next((table for table in tables if table.is_file()), None)
        if table is not None:
            found[name] = table
        elif (folder / name).is_dir():
            found[name] = folder / name
    return found


def read_split(folder: str | Path, split: str, images: str | Path | None = None, cache: Path = CACHE) -> GeoPhotos:
    """Reads the training, validation or test photos of a data set, such as OSV5M.

    Args:
        folder: of the data set.
        split: "train", "val" or "test".
        images, cache: as for `read_geotagged`.

    Raises:
        PlacewiseError: if the folder has no such split, or it cannot be read.
    """
    splits = find_splits(folder)
    if split not in splits:
        there = ", ".join(splits) or "none of train, val and test"
        remedy = "; `split_by` makes one of the training photos" if split == "val" and "train" in splits else ""
        raise PlacewiseError(f"{folder}: has no {split}.csv, {split}.parquet or folder {split}, only {there}{remedy}")
    return read_geotagged(splits[split], images, cache)


def _table_in(folder: Path) -> Path | None:
    """Returns the table of a folder; None if there is none, or it holds UTM coordinates only.

    Raises:
        PlacewiseError: if there are several.
    """
    places = find_table(folder)
    if places is not None:
        columns = choose_columns(Columns(places, column_types()).names)
        return places if {"path", "latitude", "longitude"} <= set(columns) else None
    tables = sorted(file for file in folder.iterdir() if file.suffix.lower() in TABLES and file.name[0] != ".")
    if len(tables) > 1:
        raise PlacewiseError(f"{folder}: has several tables: name one of {', '.join(file.name for file in tables)}")
    return tables[0] if tables else None
