"""Where the images of a table are: beside it, in a folder of images, or somewhere below one."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from commons.errors import PlacewiseError
from datasets.listing import EXTENSIONS, HIDDEN

SAMPLE = 100
BLOCK = 1 << 20  # names that are split at once
TOGETHER = 1 << 17  # rows of small folders that are looked up at once
EXTENSION = r"(?i)\.(" + "|".join(extension[1:] for extension in EXTENSIONS) + r")$"


class Located(NamedTuple):
    """Images found for the rows of a table; a row may have several, if it names a folder.

    Attributes:
        folder: that `names` are relative to.
        names: of the images.
        rows: of the table, int64, one for each name.
        missing: how many rows have no image.
        ambiguous: how many rows name an image that lies in several folders.
        repeated: how many rows repeat an image.
        folders: whether the rows name folders.
    """

    folder: Path
    names: pa.Array
    rows: np.ndarray
    missing: int = 0
    ambiguous: int = 0
    repeated: int = 0
    folders: bool = False


def locate(table: Path, names: pa.Array, images: Path | None) -> Located:
    """Finds the images that a table names.

    Names may be relative to `images`, to the folder of the table, or to `images` or `images/<table>` there; with or
    without an extension. If they are not there, images with these file names are looked for in the folders below.

    Args:
        table: path of the table.
        names: as the table says, with forward slashes.
        images: folder of the images; None if they lie beside the table.

    Raises:
        PlacewiseError: if none is found.
    """
    roots = _roots(table, images)
    sample = names.take(pa.array(np.unique(np.linspace(0, len(names) - 1, SAMPLE).astype(np.int64)))).to_pylist()
    for root in roots:
        for extension in ("", *EXTENSIONS):
            if any((root / f"{name}{extension}").is_file() for name in sample):
                return _beside(root, pc.binary_join_element_wise(names, extension, "") if extension else names)
        if any((root / name).is_dir() for name in sample):
            return _in_folders(root, names)
    for root in roots[::-1] if images is None else roots:
        if (found := _below(root, names)) is not None:
            return found
    looked = ", ".join(map(str, roots))
    raise PlacewiseError(f"{table}: its first row names {names[0]}, which is not in {looked}, nor are the others")


def _roots(table: Path, images: Path | None) -> list[Path]:
    """Returns folders where images may lie, the likeliest first."""
    if images is not None:
        if not images.is_dir():
            raise PlacewiseError(f"{images}: there is no such folder")
        return [images]
    beside = table.parent
    roots = (beside, beside / "images", beside / table.stem, beside / "images" / table.stem)
    return [root for root in roots if root.is_dir()]


def _beside(root: Path, names: pa.Array) -> Located:
    """Keeps the rows whose image is there, each image once; each folder that the names mention is listed once.

    Small folders are looked up together and large ones one by one, so memory beside the names is 9 bytes a row.
    """
    folders = _folders(names)
    order = np.argsort(_codes(folders), kind="stable")
    there, repeated = np.zeros(len(names), bool), np.zeros(len(names), bool)
    start, listed = 0, []
    stops = np.cumsum(np.bincount(_codes(folders), minlength=len(folders.dictionary))).tolist()
    for folder, stop in zip(folders.dictionary.to_pylist(), stops, strict=True):
        listed.append(_listed(root, folder))
        if stop - start < TOGETHER and stop < len(names):
            continue
        rows = order[start:stop]
        found = pa.concat_arrays(listed)
        at = pc.index_in(names.take(pa.array(rows)), found)
        rows = rows[at.is_valid().to_numpy(zero_copy_only=False)]
        there[rows] = True
        repeated[rows] = ~_first(at.drop_null().to_numpy(), len(found))
        start, listed = stop, []
    missing = len(names) - int(there.sum())
    there &= ~repeated
    count = int(there.sum())
    rows = np.flatnonzero(there)
    kept = names if count == len(names) else names.take(pa.array(rows))
    return Located(root, kept, rows, missing, repeated=len(names) - missing - count)


def _folders(names: pa.Array) -> pa.DictionaryArray:
    """Returns the folder of each name with its last slash, dictionary-encoded; "" for names without a slash."""
    parts = [_split(names.slice(start, BLOCK))[0].dictionary_encode() for start in range(0, len(names), BLOCK)]
    whole = pa.chunked_array(parts).unify_dictionaries().combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _split(names: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Returns the folder of each name, with its last slash, and the rest."""
    _, offsets, text = names.buffers()
    ends = np.frombuffer(offsets, np.int32)[names.offset : names.offset + len(names) + 1]
    slashes = ends[0] + np.flatnonzero(np.frombuffer(text or b"", np.uint8)[ends[0] : ends[-1]] == ord("/"))
    last = np.append(-1, slashes)[np.searchsorted(slashes, ends[1:])]
    borders = np.stack([ends[:-1], np.maximum(last + 1, ends[:-1])], axis=1).astype(np.int32)
    borders = pa.py_buffer(np.append(borders.ravel(), ends[-1]))
    halves = pa.StringArray.from_buffers(2 * len(names), borders, text)  # folder, rest, folder, rest, ...
    first = np.arange(0, 2 * len(names), 2)
    return halves.take(pa.array(first)), halves.take(pa.array(first + 1))


def _codes(column: pa.DictionaryArray) -> np.ndarray:
    """Returns numbers of values in as few bytes as possible, which sort faster."""
    return column.indices.to_numpy().astype(np.min_scalar_type(len(column.dictionary)))


def _first(numbers: np.ndarray, size: int) -> np.ndarray:
    """Returns where each number below `size` occurs first, bool (n,)."""
    rows = np.arange(len(numbers))
    row_of = np.empty(size, np.int64)
    row_of[numbers[::-1]] = rows[::-1]  # of several rows the first one is written last
    return row_of[numbers] == rows


def _listed(root: Path, parent: str) -> pa.Array:
    if not (root / parent).is_dir():
        return pa.array([], pa.string())
    entries = _names(root / parent, in_order=False)
    return pc.binary_join_element_wise(parent, entries, "") if parent else entries


def _names(folder: Path, in_order: bool = True) -> pa.Array:
    entries = os.listdir(folder)
    try:
        return pa.array(sorted(entries) if in_order else entries, pa.string())
    except UnicodeEncodeError as error:
        raise PlacewiseError(f"{folder}: a file name is not valid Unicode ({error.object!r}); rename it") from error


def _below(root: Path, names: pa.Array) -> Located | None:
    """Looks for the file names below a folder, whatever folders they stand in; None if none of the first is there."""
    found = _images_below(root)
    if not len(found):
        return None
    wanted = _keys(names)
    keys = _keys(found).dictionary_encode()
    at = pc.index_in(wanted, keys.dictionary)  # of the file name among the different ones
    if at.null_count == len(names):
        return None
    codes = keys.indices.to_numpy()
    several = np.bincount(codes, minlength=len(keys.dictionary)) > 1
    first = np.zeros(len(keys.dictionary), np.int64)
    first[codes] = np.arange(len(codes))
    there = np.flatnonzero(at.is_valid().to_numpy(zero_copy_only=False))
    at = at.drop_null().to_numpy()
    rows, at = there[~several[at]], at[~several[at]]
    kept = _first(at, len(first))
    chosen = found.take(pa.array(first[at[kept]]))
    counts = len(names) - len(there), len(there) - len(rows), len(rows) - int(kept.sum())
    return Located(root, chosen, rows[kept], *counts)


def _images_below(root: Path) -> pa.Array:
    """Returns relative paths of the images in a folder and below, through links too, each folder once.

    Whole folders go into an Arrow array at once, which takes less time and memory for a million files than
    `find_images`. What lies there beside images is not counted.
    """
    parts, todo, seen = [pa.array([], pa.string())], [""], {os.path.realpath(root)}
    while todo:
        folder = todo.pop()
        entries = _names(root / folder)
        image = pc.match_substring_regex(entries, EXTENSION)
        hidden = pc.or_(pc.starts_with(entries, HIDDEN[0]), pc.starts_with(entries, HIDDEN[1]))
        shown = entries.filter(pc.and_(image, pc.invert(hidden)))
        parts.append(pc.binary_join_element_wise(folder, shown, "") if folder else shown)
        for name in reversed(entries.filter(pc.invert(pc.or_(image, hidden))).to_pylist()):
            real = os.path.realpath(root / folder / name)
            if os.path.isdir(real) and real not in seen:
                seen.add(real)
                todo.append(f"{folder}{name}/")
    return pa.concat_arrays(parts)


def _keys(names: pa.Array) -> pa.Array:
    """Returns file names without folders and extension."""
    if pc.any(pc.match_substring(names, "/")).as_py():
        names = pc.replace_substring_regex(names, r"^.*/", "")
    return pc.replace_substring_regex(names, EXTENSION, "")


def _in_folders(root: Path, names: pa.Array) -> Located:
    """Returns all images in the folders that the rows name."""
    folders = pc.replace_substring_regex(names, r"/+$", "")
    found = _images_below(root)
    at = pc.index_in(pc.replace_substring_regex(found, r"/[^/]*$", ""), folders)
    held = at.drop_null().to_numpy().astype(np.int64)
    missing = len(names) - len(np.unique(held))
    return Located(root, found.filter(at.is_valid()), held, missing, folders=True)
