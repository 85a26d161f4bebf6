"""Answers over a toy region, whose descriptors are known functions of position and direction."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from shapely.geometry import box

from cells.region import RegionCells, cut_region
from commons.errors import ArgumentError
from commons.sphere import from_local_km, haversine_km, to_local_km
from datasets.places import Frames, make_places
from tasks import aerial_answers
from tasks.aerial_answers import (
    Ranked,
    grid_moves,
    moves_between,
    paths_of,
    rank_cells,
    refined,
    similarities,
    voted,
    with_headings,
)

AT = 50.0, 8.0
TEMPERATURE = 1 / 36
DRAW = np.random.default_rng(0)
WAVES, PHASES = DRAW.normal(0, 1 / 60, (2, 64)), DRAW.uniform(0, 2 * np.pi, 64)


def toy(latitude: np.ndarray, longitude: np.ndarray, bearing: np.ndarray | None = None) -> np.ndarray:
    """Random Fourier features: alike within tens of metres, and with a bearing within tens of degrees."""
    metres = 1000 * np.stack(to_local_km(latitude, longitude, *AT), axis=1)
    found = np.cos(metres @ WAVES + PHASES)
    if bearing is not None:
        turn = np.radians(bearing)[:, None]
        found = np.concatenate([found, 4 * np.cos(turn), 4 * np.sin(turn)], axis=1)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


class ToyDatabase(NamedTuple):
    cells: RegionCells
    descriptors: np.ndarray

    def search(self, descriptors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        similar = descriptors @ self.descriptors.T
        order = np.argsort(-similar, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(similar, order, 1), order


@pytest.fixture(scope="module")
def database() -> ToyDatabase:
    """About 400 cells of 30 m."""
    ((south, north), (west, east)) = from_local_km(np.array([-0.3, 0.3]), np.array([-0.3, 0.3]), *AT)
    cells = cut_region(box(west, south, east, north))
    return ToyDatabase(cells, toy(*cells.centres()))


def around(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return from_local_km(*np.random.default_rng(seed).uniform(-0.25, 0.25, (2, count)), *AT)


def describe(latitude: np.ndarray, longitude: np.ndarray, bearing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return toy(latitude, longitude), np.ones(len(latitude))


def test_the_softmax_of_similarities(database: ToyDatabase, monkeypatch: pytest.MonkeyPatch):
    photos = toy(*around(5))
    monkeypatch.setattr(aerial_answers, "CANDIDATES", 10_000)
    found = rank_cells(database, photos, TEMPERATURE)
    count = len(database.cells)
    assert found.cells.shape == (5, count) and count > 380
    similar = photos @ database.descriptors.T
    share = np.exp(similar / TEMPERATURE) / np.exp(similar / TEMPERATURE).sum(axis=1, keepdims=True)
    assert np.exp(found.score) == pytest.approx(np.take_along_axis(share, found.cells, 1), rel=1e-4)
    latitude, longitude = database.cells.centres(found.cells[:, 3])
    assert np.array_equal(found.latitude[:, 3], latitude) and np.array_equal(found.longitude[:, 3], longitude)
    assert np.isnan(found.heading).all()
    monkeypatch.setattr(aerial_answers, "CANDIDATES", 7)
    monkeypatch.setattr(aerial_answers, "SEARCHED", 2)
    few = rank_cells(database, photos, TEMPERATURE)
    assert few.cells.shape == (5, 7) and np.exp(few.score).sum(axis=1) == pytest.approx(1)
    assert np.array_equal(few.cells, found.cells[:, :7])
    assert rank_cells(database, photos, TEMPERATURE, 9).cells.shape == (5, 9)
    monkeypatch.setattr(aerial_answers, "MOST_KEPT", 15)
    monkeypatch.setattr(aerial_answers, "LEAST_KEPT", 2)
    kept = rank_cells(database, photos, TEMPERATURE)
    assert np.array_equal(kept.score, few.score[:, :3])  # shares of all candidates


def test_refinement_moves_answers_to_the_right_finer_position(database: ToyDatabase):
    at = around(40, seed=1)
    photos = toy(*at)
    ranked = rank_cells(database, photos, TEMPERATURE)
    finer = refined(describe, photos, ranked, 4, 30.0, 5.0, TEMPERATURE)
    before, after = (1000 * haversine_km(*at, own.latitude[:, 0], own.longitude[:, 0]) for own in (ranked, finer))
    assert np.median(before) > 8 and after.max() <= 5 / np.sqrt(2) + 0.1  # half a diagonal of the finer grid
    assert (finer.similarity[:, 0] >= ranked.similarity[:, 0] - 1e-6).all()
    # Answers beyond the fourth stay where they are, and shares are shares.
    assert np.array_equal(finer.cells[:, 4:], ranked.cells[:, 4:])
    assert np.array_equal(finer.latitude[:, 4:], ranked.latitude[:, 4:])
    assert np.exp(finer.score).sum(axis=1) == pytest.approx(1)
    assert (np.diff(finer.score[:, :4], axis=1) <= 0).all()
    # The share of a refined answer grows by its gain, before all are normalised again.
    gain = (finer.similarity[0, 0] - ranked.similarity[0, ranked.cells[0] == finer.cells[0, 0]]) / TEMPERATURE
    grown = finer.score[0, 0] - ranked.score[0, ranked.cells[0] == finer.cells[0, 0]]
    rest = finer.score[0, 4] - ranked.score[0, 4]
    assert grown - rest == pytest.approx(gain, rel=1e-4)


def test_grid_within_a_cell():
    assert grid_moves(30, 10).tolist() == [[x, y, 0] for y in (-10, 0, 10) for x in (-10, 0, 10)]
    assert len(grid_moves(30, 7.5)) == 25 and len(grid_moves(30, 20)) == 1 and len(grid_moves(30, 15)) == 9


def test_places_of_several_photos_are_described_once_and_places_without_images_are_not_answered(
    database: ToyDatabase, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(aerial_answers, "PLACES_AT_ONCE", 7)
    described = []

    def counted(latitude: np.ndarray, longitude: np.ndarray, bearing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        described.append(len(latitude))
        return toy(latitude, longitude), (longitude > AT[1]).astype(np.float32)

    photos = toy(*around(30, seed=2))
    ranked = rank_cells(database, photos, TEMPERATURE)
    moves = np.array([[10.0, -20, 0], [0, 0, 0]])
    found = similarities(counted, photos, ranked, 3, moves, "test")
    assert found.shape == (30, 3, 2) and sum(described) == 2 * len(np.unique(ranked.cells[:, :3])) < 180
    assert max(described) == 14
    for photo, rank in ((0, 0), (13, 2), (29, 1)):
        for move, (east, north, _) in enumerate(moves):
            at = from_local_km(east / 1000, north / 1000, ranked.latitude[photo, rank], ranked.longitude[photo, rank])
            expected = (photos[photo] @ toy(*map(np.atleast_1d, at))[0]) if at[1] > AT[1] else -1
            assert found[photo, rank, move] == pytest.approx(expected, abs=1e-5)


def test_bearings_find_the_heading(database: ToyDatabase):
    at, heading = around(20, seed=3), np.random.default_rng(3).uniform(0, 360, 20)
    north_up = np.zeros(len(database.cells))
    turned = ToyDatabase(database.cells, toy(*database.cells.centres(), north_up))
    photos = toy(*at, heading)

    def describe_turned(*place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return toy(*place), np.ones(len(place[0]))

    ranked = rank_cells(turned, photos, TEMPERATURE)
    kept = with_headings(describe_turned, photos, ranked, 5, 16, None)
    error = np.abs((kept.heading[:, 0] - heading + 180) % 360 - 180)
    assert error.max() <= 360 / 16 / 2 + 1 and np.isnan(kept.heading[:, 5:]).all()
    assert np.array_equal(kept.cells, ranked.cells) and np.array_equal(kept.similarity, ranked.similarity)
    ordered = with_headings(describe_turned, photos, ranked, 5, 16, TEMPERATURE)
    assert (np.diff(ordered.score[:, :5], axis=1) <= 0).all() and (ordered.similarity > 0.5).any()
    assert np.array_equal(np.sort(ordered.cells[:, :5]), np.sort(ranked.cells[:, :5]))


def drive(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    return from_local_km(np.linspace(-0.2, 0.2, count), np.full(count, 0.01), *AT)


def first_within(ranked: Ranked, at: tuple[np.ndarray, np.ndarray], metres: float) -> np.ndarray:
    return 1000 * haversine_km(*at, ranked.latitude[:, 0], ranked.longitude[:, 0]) < metres


def test_photos_of_a_path_mend_a_wrong_one(database: ToyDatabase, monkeypatch: pytest.MonkeyPatch):
    """Frame 11 of a drive looks like a place 180 m away."""
    at = drive()
    photos = toy(*at)
    photos[11] = toy(*(column[30:31] for column in at))[0] * 0.8 + photos[11] * 0.2
    ranked = rank_cells(database, photos, TEMPERATURE)
    assert np.flatnonzero(~first_within(ranked, at, 50)).tolist() == [11]
    order = np.random.default_rng(5).permutation(40)  # the table need not be in the order of the path
    path = [np.argsort(order)]
    shuffled = voted(database, photos[order], Ranked(*(own[order] for own in ranked)), path, 12.0, TEMPERATURE)
    assert first_within(shuffled, tuple(own[order] for own in at), 50).all()
    assert shuffled.cells.shape == (40, 100) and (np.diff(shuffled.score, axis=1) <= 0).all()
    similar = (photos[order][:, None] * database.descriptors[shuffled.cells]).sum(axis=2)
    assert shuffled.similarity == pytest.approx(similar, abs=1e-5)
    # In parts of 8 frames, frame 11 still has neighbours; alone it has none.
    for most, right in ((8, True), (1, False)):
        monkeypatch.setattr(aerial_answers, "MOST_FRAMES", most)
        parts = voted(database, photos, ranked, [np.arange(40)], 12.0, TEMPERATURE)
        assert first_within(parts, at, 50)[11] == right


def test_moves_between_cells(database: ToyDatabase):
    """Compared with other draws, one by one; none is longer than the way and the diagonal of a cell."""
    cells = np.arange(100, 300)
    moves = moves_between(database.cells, cells, 20.0).toarray()
    latitude, longitude = database.cells.centres(cells)
    apart = 1000 * haversine_km(latitude[:, None], longitude[:, None], latitude, longitude)
    assert apart[moves > 0].max() <= 20 + 30 * np.sqrt(2) and moves.sum(axis=1).max() == 401
    draw, counts = np.random.default_rng(9), np.zeros(len(cells))
    for _ in range(3000):
        step = draw.uniform(-20, 20, 2)
        if np.hypot(*step) <= 20:
            east, north = (draw.uniform(-15, 15, 2) + step) / 1000
            reached = database.cells.assign(*from_local_km(east, north, latitude[90], longitude[90]))[0]
            counts[cells == reached] += 1
    assert moves[90] / moves[90].sum() == pytest.approx(counts / counts.sum(), abs=0.05)
    assert moves[90, 90] > 3 * np.delete(moves[90], 90).max()


def places(names: list[str], times: list[str] | None = None, frames: Frames | None = None):
    column = None if times is None else pa.array(times, pa.string())
    return make_places(".", pa.array(names, pa.string()), timestamp=column, frames=frames)


def test_orders_of_paths():
    ordered = [rows.tolist() for rows in paths_of(places(["b.jpg", "c.jpg", "a.jpg"]))]
    assert ordered == [[2, 0, 1]]
    times = ["2024:05:01 10:00:09", "2024:05:01 10:00:01", "2024:05:01 10:00:05"]
    assert [rows.tolist() for rows in paths_of(places(["b.jpg", "c.jpg", "a.jpg"], times))] == [[1, 2, 0]]
    # Months are no times, and one photo without a time makes all be ordered by name.
    assert [rows.tolist() for rows in paths_of(places(["b.jpg", "a.jpg"], ["202405", "202406"]))] == [[1, 0]]
    assert [rows.tolist() for rows in paths_of(places(["b.jpg", "a.jpg"], [times[1], ""]))] == [[1, 0]]
    named = places(["x/f10.jpg", "y/f2.jpg", "x/f9.jpg", "y/f1.jpg"])
    assert [rows.tolist() for rows in paths_of(named)] == [[2, 0], [3, 1]]
    at = "@{}@2@32@U@50@8@pano@@90@@@@202406@day{}@.jpg"
    driven = places([at.format(1, "0002"), at.format(2, "0010"), at.format(3, "0001")])
    assert [rows.tolist() for rows in paths_of(driven)] == [[2, 0, 1]]
    with pytest.raises(ArgumentError, match="sequence.* order of photos whose names begin with positions"):
        paths_of(places([at.format(1, ""), at.format(2, "")]))
    table = places(["a.jpg", "b.jpg", "c.jpg"], frames=Frames(np.array([0, -1, 0]), np.array([5, 0, 4])))
    assert [rows.tolist() for rows in paths_of(table)] == [[1], [2, 0]]
