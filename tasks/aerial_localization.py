"""Evaluation of street photos with known positions in a reference database of aerial cells."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from PIL import Image

from cells.region import RegionCells
from commons.sphere import from_local_km, haversine_km, to_local_km
from commons.threads import in_threads
from datasets.daylight import DAY, NIGHT, daylight
from datasets.decoding import PILLOW_ERRORS, ImageFiles
from datasets.letterbox import is_panorama
from datasets.places import Places
from metrics.cross_view import (
    RADII_M,
    RECALL_AT,
    Lists,
    is_below_cell,
    official_metrics,
    one_percent,
    share_interval,
    wrong_before,
)
from reports.tables import text_table
from retrieval.cell_index import Rows
from tasks.locating_aerial import AerialLocator, Answered

MOST_WORK = 2e13  # multiplications of the exact search for R@1 %: minutes on a CPU
NEAR_M = 50.0  # first answers that the median distance is of
GROUP_FIGURES = ((1, 25), (1, 50), (10, 50))  # k and r of the table of groups


@dataclass(frozen=True)
class Measured:
    """The results of `measure`.

    Attributes:
        places: the photos.
        answered: their answers; rows are those of `places`.
        cell: cell that contains each photo, int64 (photos,), -1 for none and for photos without a position.
        metres: metres from the truth to each answer, (n, k >= 100), inf beyond the last; NaN without a position.
        before: number of wrong answers before the first correct one, by radius, (n,); NaN without a position.
        exact: R@1 % and hit rate in percent; empty if they were not computed.
        groups: which photos belong to a group by its name, bool (n,).
        heading_error: heading error of first answers in degrees, (n,), NaN where unknown.
        size_m: side of a cell.
        cells: number of searched cells.
        empty: number of cells without aerial images, which are not searched.
    """

    places: Places
    answered: Answered
    cell: np.ndarray
    metres: np.ndarray
    before: dict[int, np.ndarray]
    exact: dict[str, float]
    groups: dict[str, np.ndarray]
    heading_error: np.ndarray
    size_m: float
    cells: int
    empty: int

    @property
    def known(self) -> np.ndarray:
        """Whether each decoded photo has a position, bool (n,)."""
        return self.places.located[self.answered.rows]

    def recall(self, k: int, radius: int, group: np.ndarray | None = None) -> float:
        """Returns Recall@k<r, from 0 to 1, of the photos with a position or a group of them."""
        chosen = self.before[radius][self.known if group is None else self.known & group]
        return float((chosen < k).mean()) if len(chosen) else np.nan


def measure(locator: AerialLocator, images: ImageFiles, count: int) -> Measured:
    """Locates photos and compares the answers with the known positions.

    Args:
        locator: locator of a reference database.
        images: photos whose `shorter_side` is that of the locator.
        count: number of answers for which bearings and finer positions are tried.
    """
    answered, places, database = locator.answer(images, count), images.places, locator.database
    rows, ranked = answered.rows, answered.ranked
    known = places.located[rows]
    latitude, longitude = (np.where(known, own[rows], np.nan) for own in places.degrees)
    cell = database.cells.assign(latitude, longitude)
    metres = 1000 * haversine_km(latitude[:, None], longitude[:, None], ranked.latitude, ranked.longitude)
    missing = max(max(RECALL_AT) - metres.shape[1], 0)
    metres = np.pad(metres, ((0, 0), (0, missing)), constant_values=np.inf)
    same = np.pad(ranked.cells == cell[:, None], ((0, 0), (0, missing)))
    # Similarities and their shares differ by a factor and a constant; ties are told on the scale of similarities.
    scores = np.pad(locator.temperature * ranked.score, ((0, 0), (0, missing)), constant_values=-np.inf)
    before = {
        radius: np.where(known, wrong_before(metres < radius if radius else same, scores), np.nan) for radius in RADII_M
    }
    truth = np.full(len(places), -1)
    truth[rows] = cell
    error = np.abs((ranked.heading[:, 0] - places.heading[rows] + 180) % 360 - 180)
    exact = _exact(locator, answered.descriptors[known], cell[known], latitude[known], longitude[known])
    return Measured(
        places, answered, truth, metres, before, exact, _groups(places.take(rows)), error, database.cells.grid.size_m,
        len(database.rows), len(database.cells) - len(database.rows),
    )  # fmt: skip


def _exact(
    locator: AerialLocator, photos: np.ndarray, cell: np.ndarray, latitude: np.ndarray, longitude: np.ndarray
) -> dict[str, float]:
    """Returns R@1 % and the hit rate, for which all photos are compared with all cells that have aerial images.

    The correct answer is the cell that contains the photo. For the hit rate, cells whose finest aerial image shows the
    position of the photo do not count as wrong.
    """
    database = locator.database
    if not len(photos) or photos.size * len(database.rows) > MOST_WORK:
        return {}
    rows = database.rows
    own = _lists(np.arange(len(cell)), cell, len(cell), rows)
    half = locator.config["aerial_size"] * locator.config["metres_per_pixel"] / 2
    shown = _lists(*showing(database.cells, latitude, longitude, half), len(cell), rows)
    return official_metrics(photos, rows, own, shown, values=())


def showing(
    region: RegionCells, latitude: np.ndarray, longitude: np.ndarray, half: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the cells whose centres are at most `half` metres from each point along both axes.

    Candidates are the cells that contain points of a grid around each point with a spacing of half a cell.

    Returns:
        The points, ascending, and their cells, int64 (pairs,).
    """
    side = region.grid.side_m(region.grid.row(np.abs(latitude).max()))  # with `mercator`, smaller towards the poles
    count = int(np.ceil(4 * half / side))
    line = np.linspace(-half, half, count + 1) / 1000
    around = from_local_km(*(axis.reshape(-1, 1) for axis in np.meshgrid(line, line)), latitude, longitude)
    cells = region.assign(*(column.ravel() for column in around)).reshape(-1, len(latitude))
    pairs = np.unique(np.stack([np.broadcast_to(np.arange(len(latitude)), cells.shape).ravel(), cells.ravel()]), axis=1)
    point, cell = pairs[:, pairs[1] >= 0]
    apart = to_local_km(latitude[point], longitude[point], *region.centres(cell))
    inside = np.max(np.abs(apart), axis=0) < half / 1000
    return point[inside], cell[inside]


def _lists(point: np.ndarray, cell: np.ndarray, points: int, rows: Rows) -> Lists:
    """Returns the rows of the cells of each point, without cells that have no aerial images (or are -1)."""
    if rows.kept is None:
        row, there = cell, cell >= 0
    else:
        row = np.minimum(np.searchsorted(rows.kept, cell), len(rows) - 1)
        there = rows.kept[row] == cell
    counts = np.bincount(point[there], minlength=points)
    return Lists(np.r_[0, np.cumsum(counts)], row[there])


def _groups(places: Places) -> dict[str, np.ndarray]:
    """Returns the photos of each group, for the kinds of groups that divide the photos."""
    light, heading = daylight(places), np.isfinite(places.heading)
    wide = np.array(list(in_threads(_is_wide, (places.path(row) for row in range(len(places))), 16)), bool)
    kinds = [
        {DAY: light == DAY, NIGHT: light == NIGHT},
        {"with heading": heading, "without heading": ~heading},
        {"panoramas": wide, "no panoramas": ~wide},
    ]
    return {name: own for kind in kinds if all(own.any() for own in kind.values()) for name, own in kind.items()}


def _is_wide(path: object) -> bool:
    try:
        with Image.open(path) as image:
            return is_panorama(*image.size[::-1])
    except PILLOW_ERRORS:
        return False


def measured_text(found: Measured) -> str:
    """Returns the results as text; the lines "Recall@k<rm: 0.xxxx" have the format of the published project."""
    parts = [_counts(found)]
    if not found.known.any():
        return parts[0]
    for radius in RADII_M:
        lines = [f"Recall@{k}<{radius}m: {found.recall(k, radius):.4f}" for k in RECALL_AT]
        if is_below_cell(radius, found.size_m):
            half = f"half the diagonal of a cell, {found.size_m / sqrt(2):.1f} m"
            lines.insert(0, f"({radius} m is below {half}: the right cell may be farther away)")
        parts.append("\n".join(lines))
    parts.append("\n".join(_more(found)))
    parts.append(_table(found))
    return "\n\n".join(parts)


def _counts(found: Measured) -> str:
    total, decoded, known = len(found.places), len(found.answered.rows), int(found.known.sum())
    own = found.cell[found.answered.rows][found.known]
    empty = f" ({found.empty:,} others have no aerial image)" if found.empty else ""
    lines = [f"{total} photos, {found.cells:,} cells of {found.size_m:g} m{empty}"]
    for count, text in (
        (total - decoded, "cannot be decoded"),
        (decoded - known, "without a position: answered, not measured"),
        (int((own < 0).sum()), "outside of all cells: measured, never in the right cell"),
    ):
        if count:
            lines.append(f"{count} {text}")
    return "\n".join(lines)


def _more(found: Measured) -> list[str]:
    lines = []
    if found.exact:
        first = one_percent(found.cells)
        lines.append(f"R@1%: {found.exact['R@1%']:.2f} (the cell of the photo among the {first} most similar ones)")
        shown = "cells whose finest image shows the photo's position are not wrong"
        lines.append(f"Hit rate: {found.exact['hit rate']:.2f} ({shown})")
    else:
        lines.append("R@1% and hit rate are left out: comparing all photos with all cells would take too long")
    first = found.metres[found.known, 0]
    near = first[first < NEAR_M]
    lines.append(f"Distance of first answers: median {np.median(first):.1f} m")
    if len(near):
        lines.append(f"Distance of first answers within {NEAR_M:g} m ({len(near)}): median {np.median(near):.1f} m")
    turn = found.heading_error[np.isfinite(found.heading_error)]
    if len(turn):
        lines.append(f"Error of headings ({len(turn)}): median {np.median(turn):.1f} degrees; 90 by chance")
        right = found.heading_error[(found.metres[:, 0] < NEAR_M) & np.isfinite(found.heading_error)]
        if len(right):
            lines.append(f"where the first answer is within {NEAR_M:g} m ({len(right)}): median {np.median(right):.1f}")
    return lines


def _table(found: Measured) -> str:
    """Returns a table of groups with 95 % bootstrap intervals."""
    header = ["photos", "number", *(f"Recall@{k}<{radius}m" for k, radius in GROUP_FIGURES)]
    rows = []
    for name, group in {"all": np.ones(len(found.known), bool), **found.groups}.items():
        count = int((group & found.known).sum())
        if count:
            shares = [found.recall(k, radius, group) for k, radius in GROUP_FIGURES]
            rows.append([name, str(count), *(_with_interval(share, count) for share in shares)])
    return text_table([header, *rows])


def _with_interval(share: float, count: int) -> str:
    low, high = share_interval(share, count)
    return f"{share:.3f} ({low:.3f} to {high:.3f})"
