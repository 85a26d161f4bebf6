"""EigenPlaces' classes: images of a cell that look at one point (https://arxiv.org/abs/2308.10832).

The positions p of a cell, mean mu, have two principal directions, the singular vectors of p - mu: v1 runs along the
street, v2 across it. A lateral class looks at a point across the street, a frontal class at one along it, at distance
D:

    focal point = mu + D v2 (lateral),    mu + D v1 (frontal)
    bearing of the view at p = atan2(focal east - p east, focal north - p north), clockwise from north

The sign of a singular vector is arbitrary. Here v1 points to the east half of the compass and v2 to the north half.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from commons.errors import PlacewiseError
from datasets.decoding import PILLOW_ERRORS
from datasets.grouping import Group
from datasets.places import Places

PANORAMA_ASPECT = 4


def is_panorama(path: Path) -> bool:
    """Whether an image is at least four times as wide as high, as SF-XL's panoramas of 3328x512 are.

    Raises:
        PlacewiseError: if the image cannot be read.
    """
    try:
        with Image.open(path) as image:
            return image.width >= PANORAMA_ASPECT * image.height
    except PILLOW_ERRORS as error:
        raise PlacewiseError(
            f"{path}: cannot be read, but is needed to tell whether the images are panoramas"
        ) from error


def principal_directions(xy: np.ndarray, members: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the mean of each class's positions and the direction in which they spread most.

    Args:
        xy: (n, 2) metres east and north, best near the origin.
        members: (n,) class of each position, every class at least once.
        classes: number of classes.

    Returns:
        (classes, 2) means and (classes, 2) unit vectors with an east component of at least 0; east where a class has
        no direction.
    """
    counts = np.bincount(members, minlength=classes)
    mean = np.stack([np.bincount(members, xy[:, axis], classes) / counts for axis in (0, 1)], axis=1)
    east, north = (xy - mean[members]).T
    # The first singular vector of 2-D points is the first eigenvector of their scatter matrix, at this angle.
    scatter = [np.bincount(members, product, classes) for product in (east * east, east * north, north * north)]
    angle = 0.5 * np.arctan2(2 * scatter[1], scatter[0] - scatter[2])
    return mean, np.stack([np.cos(angle), np.sin(angle)], axis=1)


def view_group(
    places: Places,
    cells: Group,
    frontal: bool,
    distance: float,
    min_images_per_class: int,
    panoramas: bool,
    tolerance: float = 30.0,
    heading_offset: float = 0.0,
) -> Group:
    """Turns cells into classes of images that look at each cell's focal point.

    A panorama gives the window around its wanted view. Of the crops at one position, the one whose middle is nearest to
    the wanted view belongs to the class, if it is within the tolerance.

    Args:
        places: the training places.
        cells: classes cut by position alone.
        frontal: whether the focal point lies along the street instead of across it.
        distance: metres from the mean position to the focal point.
        min_images_per_class: classes with fewer images are left out.
        panoramas: whether images are panoramas all around, with the heading of their middle.
        tolerance: degrees.
        heading_offset: degrees from a crop's heading clockwise to its middle.

    Returns:
        The classes that are left, maybe none.

    Raises:
        PlacewiseError: if an image has no heading.
    """
    rows = cells.images
    heading = places.heading[rows]
    if np.isnan(heading).any():
        lost = places.path(rows[np.flatnonzero(np.isnan(heading))[0]])
        raise PlacewiseError(
            f"{lost}: no heading, which views need: add it to the name or to places.csv, or use `method` cosplace "
            "with `alpha` 360 and `L` 1"
        )
    members = np.repeat(np.arange(len(cells)), np.diff(cells.offsets))
    xy = np.stack([places.utm_east[rows], places.utm_north[rows]], axis=1)
    xy -= xy[cells.offsets[:-1]][members]
    position = _positions(xy, members)
    _, first = np.unique(position, return_index=True)
    mean, direction = principal_directions(xy[first], members[first], len(cells))
    if not frontal:
        direction = np.stack([-direction[:, 1], direction[:, 0]], axis=1)
    east, north = ((mean + distance * direction)[members] - xy).T
    bearing = np.degrees(np.arctan2(east, north))
    if panoramas:
        return Group(rows, cells.offsets, cells.group_id, np.mod(0.5 + (bearing - heading) / 360, 1.0))
    turned = np.abs(np.mod(heading + heading_offset - bearing + 180, 360) - 180)
    by_turn = np.lexsort((turned, position))
    nearest = by_turn[np.append(True, np.diff(position[by_turn]) != 0)]
    nearest = np.sort(nearest[turned[nearest] <= tolerance])
    counts = np.bincount(members[nearest], minlength=len(cells))
    counts[counts < min_images_per_class] = 0
    nearest = nearest[counts[members[nearest]] > 0]
    return Group(rows[nearest], np.append(0, np.cumsum(counts[counts > 0])), cells.group_id)


def _positions(xy: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Numbers the different positions of all classes, (n,) int64."""
    order = np.lexsort((xy[:, 1], xy[:, 0], members))
    steps = np.diff(members[order]) + np.abs(np.diff(xy[order], axis=0)).sum(axis=1) > 0
    numbers = np.empty(len(members), np.int64)
    numbers[order] = np.append(0, np.cumsum(steps))
    return numbers
