"""The cells most similar to street photos: ranking, voting along paths, refined positions and headings."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow.compute as pc
from scipy.sparse import csr_matrix
from scipy.special import log_softmax
from tqdm import tqdm

from cells.region import RegionCells
from commons.errors import ArgumentError
from commons.sphere import from_local_km
from datasets.places import Places
from datasets.sequences import UNKNOWN, frames_of
from retrieval.paths import path_posteriors

CANDIDATES = 400  # cells of a photo that share its probability
LEAST_KEPT, MOST_KEPT = 100, 4_000_000  # of them for each photo, and for all photos
SEARCHED = 1024  # photos that are searched together
VOTERS = 100  # cells of each photo that the others of its path vote on
MOST_FRAMES = 256  # of a path that vote together
DRAWS = 400  # moves between two photos that are tried
PLACES_AT_ONCE = 64
FULL_TIME = 10  # characters of a time that names the day at least


class Database(Protocol):
    """The part of `tasks.reference_database.ReferenceDatabase` that this module uses."""

    cells: RegionCells
    descriptors: np.ndarray

    def search(self, descriptors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]: ...


class Ranked(NamedTuple):
    """Answers for n photos, c for each, best first.

    Attributes:
        cells: int64 (n, c).
        similarity: similarity of the photo and the cell, or the position found by `refined`; float64 (n, c).
        score: logarithm of the share of the answer among all answers for the photo, float64 (n, c).
        latitude, longitude: centre of the cell, or a position near it, in degrees, float64 (n, c).
        heading: direction of the photo in degrees clockwise from north, float64 (n, c), NaN where unknown.
    """

    cells: np.ndarray
    similarity: np.ndarray
    score: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    heading: np.ndarray


# Latitudes, longitudes and bearings, (n,) each, to descriptors of unit length, float32 (n, d), and the share of their
# images that is not empty, (n,).
Describe = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def rank_cells(database: Database, photos: np.ndarray, temperature: float, count: int = 1) -> Ranked:
    """Returns the most similar cells for each photo, with the softmax of their similarities.

        share_c = e^(similarity_c / temperature) / sum over the CANDIDATES k of e^(similarity_k / temperature)

    The candidates are returned; for many photos, only the first ones.

    Args:
        database: database of cells.
        photos: unit descriptors, float32 (n, d).
        temperature: temperature of the loss that the network was trained with.
        count: number of cells needed per photo.
    """
    kept = max(MOST_KEPT // max(len(photos), 1), LEAST_KEPT, count)
    parts = []
    for start in range(0, len(photos), SEARCHED):
        similarity, cells = database.search(photos[start : start + SEARCHED], max(CANDIDATES, count))
        share = log_softmax(similarity / temperature, axis=1)
        parts.append([column[:, :kept] for column in (cells, similarity, share)])
    return _ranked(database.cells, *(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _ranked(region: RegionCells, cells: np.ndarray, similarity: np.ndarray, score: np.ndarray) -> Ranked:
    latitude, longitude = (middles.reshape(cells.shape) for middles in region.centres(cells.ravel()))
    unknown = np.full(cells.shape, np.nan)
    return Ranked(cells, similarity.astype(np.float64), score.astype(np.float64), latitude, longitude, unknown)


def paths_of(places: Places) -> list[np.ndarray]:
    """Returns the rows of the photos of each path, in the order in which they were taken.

    Photos with a sequence and a frame, in their names or a table, are ordered by the frame. All others form one path,
    ordered by their times if each time contains at least the day, otherwise by name.

    Raises:
        ArgumentError: if names begin with positions and define no order.
    """
    frames = frames_of(places)
    if places.frames is None and (frames.sequence == UNKNOWN).all():
        # Names by the SF-XL convention in one folder: the frame is the number at the end of their notes.
        by_position = pc.starts_with(places.names, "@").to_numpy(zero_copy_only=False)
        if by_position.any():
            frames = frames_of(replace(places, names=pc.binary_join_element_wise("path", places.names, "/")))
            frames.sequence[~by_position] = UNKNOWN
    names, times = np.array(places.names.to_pylist(), object), np.array(places.timestamp.to_pylist(), object)
    paths = []
    for sequence in np.unique(frames.sequence):
        rows = np.flatnonzero(frames.sequence == sequence)
        keys = [names[rows]]
        if sequence != UNKNOWN:
            keys.append(frames.frame[rows])
        elif all(len(time) >= FULL_TIME for time in times[rows]):
            keys.append(times[rows])
        elif any(name.rpartition("/")[2].startswith("@") for name in names[rows]):
            raise ArgumentError(
                "sequence",
                f"{places.path(rows[0])}: the order of photos whose names begin with positions is unknown; add the "
                "columns sequence and frame to places.csv, or end the names with the number of the frame",
            )
        paths.append(rows[np.lexsort([np.unique(key, return_inverse=True)[1] for key in keys])])
    return paths


def voted(
    database: Database,
    photos: np.ndarray,
    ranked: Ranked,
    paths: Sequence[np.ndarray],
    metres: float,
    temperature: float,
) -> Ranked:
    """Ranks cells by their probability given all photos of a path (`retrieval.paths.path_posteriors`).

    The likelihood of a photo in a cell is e^(similarity / temperature). The candidates of a path are the first VOTERS
    cells of each photo; `moves_between` gives the transition probabilities. Paths of more than MOST_FRAMES photos are
    split.

    Args:
        database: database of cells.
        photos: unit descriptors, float32 (n, d).
        ranked: answers of `rank_cells`.
        paths: rows of the photos of each path in their order.
        metres: maximum distance between consecutive photos.
        temperature: as for `rank_cells`.
    """
    count = min(VOTERS, ranked.cells.shape[1])
    cells, similarity, score = (np.empty((len(photos), count), kind) for kind in (np.int64, np.float64, np.float64))
    parts = [path[start : start + MOST_FRAMES] for path in paths for start in range(0, len(path), MOST_FRAMES)]
    for rows in parts:
        known = np.unique(ranked.cells[rows, :count])
        similar = photos[rows] @ np.asarray(database.descriptors[known], np.float32).T
        votes = path_posteriors(similar / temperature, moves_between(database.cells, known, metres))
        order = np.argsort(-votes, axis=1, kind="stable")[:, :count]
        cells[rows] = known[order]
        similarity[rows], score[rows] = (np.take_along_axis(own, order, axis=1) for own in (similar, votes))
    return _ranked(database.cells, cells, similarity, score)


def moves_between(region: RegionCells, cells: np.ndarray, metres: float) -> csr_matrix:
    """Returns the probability of moving from one cell to another between two photos, up to a factor for each cell.

    A move starts at a uniform random point of the cell and adds a uniform random vector of a disc. DRAWS moves are
    counted, the same for all cells, plus one that stays.

    Args:
        region: region of the cells.
        cells: ascending, int64 (u,).
        metres: radius of the disc.

    Returns:
        float64 (u, u).
    """
    draw = np.random.default_rng(0)
    start, turn = draw.uniform(-0.5, 0.5, (2, DRAWS)) * region.grid.size_m, draw.uniform(0, 2 * np.pi, DRAWS)
    reach = metres * np.sqrt(draw.random(DRAWS))
    east, north = (start + reach * [np.cos(turn), np.sin(turn)]) / 1000
    rows, columns = [np.arange(len(cells))], [np.arange(len(cells))]
    for first in range(0, len(cells), PLACES_AT_ONCE**2):
        part = cells[first : first + PLACES_AT_ONCE**2]
        middles = (column[:, None] for column in region.centres(part))
        reached = region.assign(*(column.ravel() for column in from_local_km(east, north, *middles)))
        column = np.minimum(np.searchsorted(cells, reached), len(cells) - 1)
        there = cells[column] == reached
        rows.append(first + np.repeat(np.arange(len(part)), DRAWS)[there])
        columns.append(column[there])
    pairs = np.concatenate(rows), np.concatenate(columns)
    return csr_matrix((np.ones(len(pairs[0])), pairs), shape=(len(cells), len(cells)))


def with_headings(
    describe: Describe, photos: np.ndarray, ranked: Ranked, count: int, bearings: int, temperature: float | None
) -> Ranked:
    """Extracts descriptors of the first cells of each photo at several bearings; the most similar one is the heading.

    Args:
        describe: computes descriptors of places.
        photos: unit descriptors, float32 (n, d).
        ranked: answers.
        count: number of answers to process.
        bearings: number of directions, evenly spaced from north.
        temperature: for ordering the first `count` answers by the new similarities; None to keep their order, for
            networks trained with random bearings.
    """
    turns = np.arange(bearings) * 360 / bearings
    moves = np.stack([np.zeros(bearings), np.zeros(bearings), turns], axis=1)
    similar = similarities(describe, photos, ranked, count, moves, "Bearings")
    best = similar.argmax(axis=2)
    heading = ranked.heading.copy()
    heading[:, : best.shape[1]] = turns[best]
    ranked = ranked._replace(heading=heading)
    return ranked if temperature is None else _reordered(ranked, similar.max(axis=2), temperature)


def refined(
    describe: Describe, photos: np.ndarray, ranked: Ranked, count: int, side: float, spacing: float, temperature: float
) -> Ranked:
    """Moves the first answers of each photo to the most similar position of a finer grid within their cells.

    Descriptors are extracted in the direction of the heading if there is one, otherwise with north up. The share of an
    answer is multiplied by e^(gain in similarity / temperature), and the first `count` answers are sorted by their
    shares.

    Args:
        describe, photos, ranked, count: as for `with_headings`.
        side: side of a cell in metres.
        spacing: spacing of the grid in metres, which contains the centre of the cell.
        temperature: as for `rank_cells`.
    """
    moves = grid_moves(side, spacing)
    similar = similarities(describe, photos, ranked, count, moves, "Refinement")
    best = similar.argmax(axis=2)
    east, north, _ = np.moveaxis(moves[best], -1, 0) / 1000
    latitude, longitude = ranked.latitude.copy(), ranked.longitude.copy()
    part = slice(None), slice(best.shape[1])
    latitude[part], longitude[part] = from_local_km(east, north, latitude[part], longitude[part])
    return _reordered(ranked._replace(latitude=latitude, longitude=longitude), similar.max(axis=2), temperature)


def grid_moves(side: float, spacing: float) -> np.ndarray:
    """Returns the moves to the points of a square grid within a cell: metres east and north, and 0 degrees, (v, 3)."""
    most = int(np.floor(side / 2 / spacing + 1e-9))
    line = spacing * np.arange(-most, most + 1)
    east, north = (axis.ravel() for axis in np.meshgrid(line, line))
    return np.stack([east, north, np.zeros(len(east))], axis=1)


def similarities(
    describe: Describe, photos: np.ndarray, ranked: Ranked, count: int, moves: np.ndarray, what: str
) -> np.ndarray:
    """Returns the similarities of photos and places around their first answers.

    The descriptor of a place that several photos share is extracted once.

    Args:
        describe, photos, ranked, count: as for `with_headings`.
        moves: moves from each answer to the places: metres east and north, degrees of bearing, (v, 3).
        what: title of the progress bar.

    Returns:
        float32 (n, min(count, c), v), -1 for places without aerial images.
    """
    north_up = np.nan_to_num(ranked.heading[:, :count])
    flat = np.stack([ranked.latitude[:, :count], ranked.longitude[:, :count], north_up], axis=-1).reshape(-1, 3)
    places, owner = np.unique(flat, axis=0, return_inverse=True)
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], np.arange(len(places) + 1))
    photo = np.arange(len(flat)) // max(north_up.shape[1], 1)
    found = np.empty((len(flat), len(moves)), np.float32)
    for start in tqdm(range(0, len(places), PLACES_AT_ONCE), what, leave=False, disable=len(places) < PLACES_AT_ONCE):
        part = places[start : start + PLACES_AT_ONCE]
        east, north, turn = moves.T
        latitude, longitude = from_local_km(east / 1000, north / 1000, part[:, :1], part[:, 1:2])
        bearing = part[:, 2:] + turn
        described, filled = describe(latitude.ravel(), longitude.ravel(), bearing.ravel())
        rows = order[ends[start] : ends[start + len(part)]]
        mine = owner[rows] - start
        similar = np.einsum("rd,rvd->rv", photos[photo[rows]], described.reshape(*bearing.shape, -1)[mine])
        found[rows] = np.where(filled.reshape(bearing.shape)[mine] > 0, similar, -1)
    return found.reshape(*north_up.shape, len(moves))


def _reordered(ranked: Ranked, similarity: np.ndarray, temperature: float) -> Ranked:
    """Returns the answers with new similarities of the first ones, which are sorted by their scores."""
    count = similarity.shape[1]
    score, kept = ranked.score.copy(), ranked.similarity.copy()
    score[:, :count] += (similarity - kept[:, :count]) / temperature
    kept[:, :count] = similarity
    order = np.broadcast_to(np.arange(score.shape[1]), score.shape).copy()
    order[:, :count] = np.argsort(-score[:, :count], axis=1, kind="stable")
    moved = ranked._replace(score=log_softmax(score, axis=1), similarity=kept)
    return Ranked(*(np.take_along_axis(column, order, axis=1) for column in moved))
