"""Lists of image files: found in a folder, or read from a text file beside it."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from commons.errors import PlacewiseError
from datasets.gsv_cities import listed_images

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")
OTHER_IMAGES = [
    ".arw",
    ".avif",
    ".bmp",
    ".cr2",
    ".cr3",
    ".dng",
    ".gif",
    ".heic",
    ".heif",
    ".jfif",
    ".jp2",
    ".jxl",
    ".nef",
    ".orf",
    ".pgm",
    ".ppm",
    ".raf",
    ".raw",
    ".rw2",
    ".tif",
    ".tiff",
]
# What macOS (._name.jpg, also from its zip files) and Jupyter (.ipynb_checkpoints) leave beside images.
HIDDEN = (".", "__MACOSX")


@dataclass
class Found:
    """What lies in a folder of images and below.

    Attributes:
        names: sorted relative paths of images, with forward slashes.
        others: how many images of types that are not read there are, by extension.
        loops: relative paths of links that lead back to a folder above them.
    """

    names: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    loops: list[str] = field(default_factory=list)

    def left_out(self) -> list[str]:
        """Returns what was left out, a phrase for each kind."""
        phrases = []
        if self.others:
            counts = ", ".join(f"{count} {extension}" for extension, count in sorted(self.others.items()))
            phrases.append(f"{counts} (only {', '.join(EXTENSIONS)} are read: convert them)")
        if self.loops:
            phrases.append(f"{len(self.loops)} link(s) to a folder above ({self.loops[0]})")
        return phrases


def list_images(folder: Path) -> list[str]:
    """Returns the sorted relative paths of all images in `folder` and below, or those that are listed beside it.

    What is left out is counted in one warning.

    Raises:
        PlacewiseError: if there are none, or the list is damaged.
    """
    beside = (Path(f"{path}_images_paths.txt") for path in (folder.absolute(), folder.resolve()))
    listing = next((path for path in beside if path.is_file()), None)
    if (folder / "Dataframes").is_dir():
        return listed_images(folder)
    if listing is not None:
        return _read_list(listing, folder)
    found = find_images(folder)
    if not found.names:
        others = f"; left out: {'; '.join(found.left_out())}" if found.left_out() else ""
        raise PlacewiseError(f"{folder}: contains no image ({', '.join(EXTENSIONS)}){others}")
    warn_left_out(folder, found.left_out())
    return found.names


def find_images(folder: Path) -> Found:
    """Searches a folder and all folders below, through links too."""
    found = Found()
    found.names.extend(_scan(os.fspath(folder), "", (os.path.realpath(folder),), found))
    found.names.sort()
    return found


def warn_left_out(source: Path, phrases: list[str]) -> None:
    """Logs one warning with what was left out of a source, if anything was."""
    if phrases:
        logging.warning(f"{source}: left out: {'; '.join(phrases)}")


def _scan(folder: str, prefix: str, above: tuple[str, ...], found: Found) -> Iterator[str]:
    """Yields the images of a folder; `above` are the real paths of it and of the folders that led to it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(HIDDEN):
                continue
            if entry.is_dir():
                real = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(above[-1], entry.name)
                if real in above:
                    found.loops.append(prefix + entry.name)
                else:
                    yield from _scan(entry.path, f"{prefix}{entry.name}/", (*above, real), found)
            elif entry.name.lower().endswith(EXTENSIONS):
                yield prefix + entry.name
            else:
                extension = os.path.splitext(entry.name)[1].lower()
                if extension in OTHER_IMAGES:
                    found.others[extension] += 1


def _read_list(listing: Path, folder: Path) -> list[str]:
    """Reads <folder>_images_paths.txt, which replaces the search; only its first line is looked for."""
    try:
        lines = listing.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise PlacewiseError(f"{listing}: is not UTF-8 text; correct or delete it") from error
    lines = [name for line in lines if (name := line.strip().replace("\\", "/"))]
    names = list(dict.fromkeys(lines))
    if not names:
        raise PlacewiseError(f"{listing}: lists no image; correct or delete it")
    if not (folder / names[0]).is_file():
        raise PlacewiseError(f"{listing}: lists {names[0]}, which is not in {folder}; correct or delete it")
    repeated = len(lines) - len(names)
    warn_left_out(listing, [f"{repeated} line(s) that repeat a path"] if repeated else [])
    return names
