"""CosPlace's classes and groups (https://arxiv.org/abs/2204.02287, section 3.1).

A class is a square cell of M metres and alpha degrees of heading:

    class = (floor(east / M), floor(north / M), floor((heading mod 360) / alpha))

and a group holds classes that are at least M * (N - 1) metres or alpha * (L - 1) degrees apart:

    group = (class_east mod N, class_north mod N, class_heading mod L)

Each UTM zone has a grid of its own. Where two grids meet, classes that break this promise are left out.

In GSV-Cities, whose names say which place an image shows, a class is a place and a group a city.
"""

import hashlib
import logging
import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from commons.errors import ArgumentError, PlacewiseError
from commons.files import atomic_path
from datasets.cell_parameters import check_parameters
from datasets.gsv_cities import gsv_places, is_gsv_name
from datasets.places import Places
from datasets.zone_borders import neighbours_across_zones

CACHE_VERSION = 2


@dataclass(frozen=True)
class Group:
    """Classes that are trained together. The images of class c are images[offsets[c]:offsets[c + 1]].

    Attributes:
        images: rows of the places table, int64.
        offsets: (classes + 1,) int64.
        group_id: (east, north, heading) residues; (city, 0, 0) of GSV-Cities.
        centres: of panoramas, the middle of each image's window, in [0, 1) of the panorama's width; None for other
            images.
    """

    images: np.ndarray
    offsets: np.ndarray
    group_id: tuple[int, int, int]
    centres: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1


def class_and_group_ids(
    utm_east: np.ndarray, utm_north: np.ndarray, heading: np.ndarray, M: int, alpha: int, N: int, L: int
) -> tuple[np.ndarray, np.ndarray]:
    """Computes the class and group of each place by the formulas above.

    Args:
        utm_east, utm_north: metres, (n,).
        heading: degrees, (n,), taken modulo 360.

    Returns:
        (n, 3) int64 class ids in metres and degrees (lower corner of the cell, as the paper writes them) and (n, 3)
        int64 group ids between 0 and (N - 1, N - 1, L - 1).
    """
    cells = np.stack([utm_east // M, utm_north // M, np.mod(heading, 360.0) // alpha], axis=1).astype(np.int64)
    return cells * (M, M, alpha), np.mod(cells, (N, N, L))


def make_groups(
    places: Places,
    M: int,
    alpha: int,
    N: int,
    L: int,
    groups_num: int,
    min_images_per_class: int,
    cache: Path | None = None,
) -> list[Group]:
    """Cuts a table of places into groups of classes; those of GSV-Cities are cut already.

    Args:
        places: training places, all with position; headings are needed unless alpha is 360.
        M: side of a cell in metres.
        alpha: degrees of heading in a class.
        N: cells between two classes of one group, in each direction.
        L: heading bins between two classes of one group.
        groups_num: how many groups to use, in the order of their ids; 0 for all.
        min_images_per_class: classes with fewer images are left out.
        cache: folder for the finished table, keyed by contents and parameters; None for no cache.

    Raises:
        ArgumentError: if the parameters leave no classes, or fewer groups than asked for.
        PlacewiseError: if an image has no position in UTM, or no heading though classes need one.
    """
    check_parameters(M, alpha, N, L)
    if is_gsv_name(places.names[0].as_py()):
        logging.info("Classes are the places of GSV-Cities, groups its cities; `M`, `alpha`, `N` and `L` are not used")
        groups = _gsv_groups(places, min_images_per_class)
    else:
        groups = _cut_or_load(places, (M, alpha, N, L, min_images_per_class), cache)
    if not groups:
        raise ArgumentError(
            "min_images_per_class", f"no class has {min_images_per_class} images: lower it, or enlarge `M` or `alpha`"
        )
    groups_num = groups_num or len(groups)
    if groups_num > len(groups):
        raise ArgumentError(
            "groups_num", f"{groups_num}: these images fill only {len(groups)}; use `groups_num` {len(groups)}"
        )
    _report(places, groups, groups_num)
    return groups[:groups_num]


def _cut_or_load(places: Places, parameters: tuple[int, ...], cache: Path | None) -> list[Group]:
    file = cache / f"groups_{_key(places, parameters)}.npz" if cache is not None else None
    cut = _load(file) if file is not None and file.is_file() else None
    if cut is None:
        cut = _cut(places, *parameters)
        if file is not None and cut[0]:
            _save(*cut, file)
    groups, left_out = cut
    if left_out:
        M, _, N, *_ = parameters
        logging.warning(
            f"{left_out} classes at borders of UTM zones are left out: they lie less than {M * (N - 1)} m from another "
            "class of their group"
        )
    return groups


def _gsv_groups(places: Places, min_images_per_class: int) -> list[Group]:
    city, place = gsv_places(places.names)
    keys = _joined_keys(places, np.column_stack([city, place]))
    classes = _sort_classes(keys, min_images_per_class)
    return _assemble(classes, np.column_stack([city, np.zeros_like(city), np.zeros_like(city)]))


def _cut(places: Places, M: int, alpha: int, N: int, L: int, min_images_per_class: int) -> tuple[list[Group], int]:
    """Returns the groups, and how many classes are left out at borders of UTM zones."""
    _check_positions(places)
    heading = places.heading
    if alpha == 360:
        heading = np.zeros(len(places))
    elif np.isnan(heading).any():
        lost = np.flatnonzero(np.isnan(heading))
        raise PlacewiseError(
            f"{places.path(lost[0])}: no heading ({len(lost)} of {len(places)} images); classes need one: "
            "add it to the name or to places.csv, or use `alpha` 360 and `L` 1 to cut classes by position alone"
        )
    class_ids, group_ids = class_and_group_ids(places.utm_east, places.utm_north, heading, M, alpha, N, L)
    # Grids of different UTM zones overlap in numbers: the zone is part of the class.
    keys = _joined_keys(places, np.column_stack([places.utm_zone, class_ids // (M, M, alpha)]))
    classes = _sort_classes(keys, min_images_per_class)
    apart = classes
    if len(np.unique(places.utm_zone)) > 1 and N > 1:
        apart = _without_neighbours_across_zones(places, classes, class_ids[:, 2], group_ids, M * (N - 1))
    return _assemble(apart, group_ids), len(classes.starts) - len(apart.starts)


def _check_positions(places: Places) -> None:
    """Raises PlacewiseError if an image has no position, or none in UTM, of which cells are cut."""
    lost = np.flatnonzero(~places.located)
    if len(lost):
        raise PlacewiseError(f"{places.path(lost[0])}: no position, classes need one")
    lost = np.flatnonzero(np.isnan(places.utm_east))
    if len(lost):
        raise PlacewiseError(
            f"{places.path(lost[0])}: latitude {places.latitude[lost[0]]:g} ({len(lost)} such images): street cells "
            "are cut in UTM, which is defined from 80 degrees south to 84 north: are latitude and longitude swapped? "
            "Otherwise leave these images out"
        )


class _Classes(NamedTuple):
    """Classes of images: that of class c are order[starts[c] : starts[c] + counts[c]]."""

    order: np.ndarray
    starts: np.ndarray
    counts: np.ndarray

    def only(self, kept: np.ndarray) -> "_Classes":
        return _Classes(self.order, self.starts[kept], self.counts[kept])

    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the images of all classes one after the other, and the offsets of the classes in them."""
        offsets = np.append(0, np.cumsum(self.counts))
        return self.order[np.repeat(self.starts - offsets[:-1], self.counts) + np.arange(offsets[-1])], offsets


def _sort_classes(keys: np.ndarray, min_images_per_class: int) -> _Classes:
    """Gathers the images of each class key (n,); classes with fewer images are left out."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(keys[order]) != 0))
    counts = np.diff(np.append(starts, len(keys)))
    return _Classes(order, starts, counts).only(counts >= min_images_per_class)


def _without_neighbours_across_zones(
    places: Places, classes: _Classes, heading_bin: np.ndarray, group_ids: np.ndarray, least: float
) -> _Classes:
    """Leaves out classes that lie nearer than `least` metres to one of their group in another UTM zone.

    Of two such classes, the one of the zone that comes later in the order of zone numbers goes. Classes of one group
    that look in different directions may be near: their headings are far enough apart.

    Args:
        places: all images.
        classes: cut by zone, cell and heading.
        heading_bin: of each image, (n,).
        group_ids: of each image, (n, 3).
        least: metres that classes of one group and heading must be apart.
    """
    first = classes.order[classes.starts]
    _, kinds = np.unique(np.column_stack([group_ids[first], heading_bin[first]]), axis=0, return_inverse=True)
    class_of, kind_of = np.full(len(places), -1), np.full(len(places), -1)
    rows, _ = classes.images()
    class_of[rows] = np.repeat(np.arange(len(first)), classes.counts)
    kind_of[rows] = np.repeat(kinds.ravel(), classes.counts)
    kept = np.ones(len(classes.starts), bool)
    for one, other in neighbours_across_zones(places, class_of, kind_of, least):
        if kept[one]:
            kept[other] = False
    return classes.only(kept)


def _assemble(classes: _Classes, group_ids: np.ndarray) -> list[Group]:
    """Makes groups of classes and the group ids (n, 3) of all images."""
    ids, group_of_class = np.unique(group_ids[classes.order[classes.starts]], axis=0, return_inverse=True)
    groups = []
    for number, group_id in enumerate(ids):
        images, offsets = classes.only(group_of_class.ravel() == number).images()
        groups.append(Group(images, offsets, tuple(map(int, group_id))))
    return groups


def _joined_keys(places: Places, columns: np.ndarray) -> np.ndarray:
    """Makes one int64 of the columns (n, c) of each row, in their lexicographic order: one sort instead of c."""
    columns = columns - columns.min(axis=0)
    spans = [int(span) + 1 for span in columns.max(axis=0)]
    if math.prod(spans) >= 2**63:
        raise PlacewiseError(f"{places.folder}: its positions lie farther apart than the earth is wide, in UTM metres")
    keys = columns[:, 0]
    for column, span in zip(columns.T[1:], spans[1:], strict=True):
        keys = keys * span + column
    return keys


def _report(places: Places, groups: list[Group], groups_num: int) -> None:
    used = sum(len(group.images) for group in groups[:groups_num])
    logging.info(
        f"Classes: {sum(map(len, groups[:groups_num]))} in {groups_num} of {len(groups)} groups "
        f"({used} of {len(places)} images); classes a group: {', '.join(str(len(g)) for g in groups[:groups_num])}"
    )
    if used < 0.1 * len(places):
        logging.warning(
            f"only {used} of {len(places)} training images are used: raise `groups_num` (up to {len(groups)}), "
            "or lower `N`, `L` or `min_images_per_class`"
        )


def _key(places: Places, parameters: tuple[int, ...]) -> str:
    """Hashes everything that the groups depend on: positions, headings and parameters."""
    digest = hashlib.blake2b(repr((CACHE_VERSION, parameters)).encode(), digest_size=16)
    for columns in (places.given_degrees, places.given_utm, (places.heading,)):
        for column in columns or ():
            digest.update(np.ascontiguousarray(column))
        digest.update(b"|")
    return digest.hexdigest()


def _save(groups: list[Group], left_out: int, file: Path) -> None:
    """Writes the table; where that cannot be done, the next start computes it anew."""
    try:
        with atomic_path(file) as temporary:
            np.savez(
                temporary,
                images=np.concatenate([group.images for group in groups]),
                counts=np.concatenate([np.diff(group.offsets) for group in groups]),
                classes=np.array([len(group) for group in groups]),
                ids=np.array([group.group_id for group in groups]),
                left_out=left_out,
            )
    except OSError as error:
        logging.warning(f"the classes are not cached in {file.parent}: {error.strerror}")


def _load(file: Path) -> tuple[list[Group], int] | None:
    """Reads a cached table, as `_cut` returns it; None if the file is damaged."""
    try:
        with np.load(file) as table:
            images, counts, classes, ids = (table[name] for name in ("images", "counts", "classes", "ids"))
            left_out = int(table["left_out"])
        first_class, groups = np.append(0, np.cumsum(classes)), []
        offsets = np.append(0, np.cumsum(counts))
        for start, stop, group_id in zip(first_class[:-1], first_class[1:], ids, strict=True):
            own = offsets[start : stop + 1]
            groups.append(Group(images[own[0] : own[-1]], own - own[0], tuple(map(int, group_id))))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return (groups, left_out) if groups else None
