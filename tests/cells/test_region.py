import time
from pathlib import Path

import numpy as np
import pytest
import shapely
from shapely import affinity
from shapely.geometry import MultiPolygon, Point, Polygon, box

from cells.base import Points
from cells.region import RADIUS, CellGrid, RegionCells, cut_region, load_region_cells
from commons.errors import ArgumentError, PlacewiseError
from commons.sphere import haversine_km

LATITUDE, LONGITUDE = 42.36, -71.06


def metres(polygon, latitude: float = LATITUDE, longitude: float = LONGITUDE):
    """A polygon in metres around a position, in degrees."""
    up = np.degrees(1 / RADIUS)
    scaled = affinity.scale(polygon, up / np.cos(np.radians(latitude)), up, origin=(0, 0))
    return affinity.translate(scaled, longitude, latitude)


def star(seed: int, points: int = 40, radius: float = 900) -> Polygon:
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, points))
    length = radius * rng.uniform(0.3, 1, points)
    return Polygon(np.stack([length * np.cos(angle), length * np.sin(angle)], axis=1))


def published_rows(polygon, size: float, corners: bool) -> list[tuple[int, int]]:
    """The published loop over all rows and columns, with floor instead of int: cells by corners, or by intersection."""
    west, south, east, north = polygon.bounds
    found = []
    for row in range(int(np.floor(RADIUS * np.radians(south) / size)) - 1, int(RADIUS * np.radians(north) / size) + 3):
        latitude = np.degrees(row * size / RADIUS)
        circle = RADIUS * np.cos(np.radians(latitude))
        low, high = (int(np.floor(circle * np.radians(degrees) / size)) for degrees in (west, east))
        for column in range(low - 1, high + 3):
            x = np.degrees((column + np.array([-0.5, 0.5])) * size / circle)
            y = np.degrees((row + np.array([-0.5, 0.5])) * size / RADIUS)
            if corners:
                kept = any(polygon.contains(Point(a, b)) for a in x for b in y)
            else:
                kept = polygon.intersects(box(x[0], y[0], x[1], y[1]))
            if kept:
                found.append((row, column))
    return found


def places(cells: RegionCells) -> list[tuple[int, int]]:
    return list(zip(*(column.tolist() for column in cells.places(np.arange(len(cells)))), strict=True))


@pytest.mark.parametrize(("latitude", "longitude"), [(LATITUDE, LONGITUDE), (-33.9, 18.4), (0.0, 0.0), (68.0, 20.0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_exactly_the_cells_that_touch_the_region(latitude: float, longitude: float, seed: int):
    region = metres(star(seed), latitude, longitude)
    assert places(cut_region(region)) == published_rows(region, 30.0, corners=False)


def test_the_corners_of_the_published_rule_give_a_subset():
    region = metres(star(3))
    ours, theirs = set(places(cut_region(region))), set(published_rows(region, 30.0, corners=True))
    assert theirs < ours and len(theirs) > 0.93 * len(ours)


def test_thin_regions_are_kept_whole():
    """A strip 8 m wide and 2 km long, of which the four-corner rule loses a third."""
    region = metres(affinity.rotate(box(-1000, -4, 1000, 4), 3, origin=(0, 0)))
    cells = cut_region(region)
    assert places(cells) == published_rows(region, 30.0, corners=False)
    assert len(published_rows(region, 30.0, corners=True)) < 0.8 * len(cells)
    united = shapely.union_all([cells.polygon(cell).buffer(1e-9) for cell in range(len(cells))])
    assert united.covers(region)


def test_holes_several_parts_and_invalid_outlines():
    ring = star(4).buffer(200).difference(star(5, radius=500))
    region = metres(MultiPolygon([ring, *shapely.get_parts(affinity.translate(star(6), 3000, 100))]))
    assert places(cut_region(region)) == published_rows(region, 30.0, corners=False)
    bow = Polygon([(-100, -100), (100, 100), (100, -100), (-100, 100)])
    assert 30 < len(cut_region(metres(bow))) < 60


def test_spacing_and_centres():
    cells = cut_region(metres(box(-300, -300, 300, 300)))
    latitude, longitude = cells.centres()
    rows = np.unique(latitude)
    assert np.allclose(np.radians(np.diff(rows)) * RADIUS, 30, atol=1e-6)
    for row in rows:
        own = longitude[latitude == row]
        assert np.allclose(np.radians(np.diff(own)) * RADIUS * np.cos(np.radians(row)), 30, atol=1e-6)
    assert 400 <= len(cells) <= 22**2 and np.allclose(rows * np.radians(RADIUS) / 30 % 1 % 0.999999, 0, atol=1e-5)
    some = np.array([5, 0, 17])
    assert np.array_equal(cells.centres(some).latitude, latitude[some])


@pytest.mark.parametrize("mercator", [False, True])
def test_a_point_belongs_to_the_cell_that_holds_it(mercator: bool):
    region = metres(star(7))
    cells = cut_region(region, mercator=mercator)
    rng = np.random.default_rng(0)
    latitude, longitude = (middle + rng.uniform(-0.01, 0.01, 3000) for middle in (LATITUDE, LONGITUDE))
    found = cells.assign(latitude, longitude)
    outlines = np.array([cells.polygon(cell) for cell in range(len(cells))])
    tree = shapely.STRtree(outlines)
    points, holders = tree.query(shapely.points(longitude, latitude), predicate="within")
    wanted = np.full(3000, -1)
    wanted[points] = holders
    assert np.array_equal(found, wanted) and 300 < (found >= 0).sum() < 2900
    inside = shapely.contains_xy(region, longitude, latitude)
    assert (found[inside] >= 0).all()
    assert np.array_equal(cells.assign(*cells.centres()), np.arange(len(cells)))


def test_the_nearest_cell_of_points_beside_the_region():
    cells = cut_region(metres(star(8)))
    rng = np.random.default_rng(1)
    latitude, longitude = (middle + rng.uniform(-0.02, 0.02, 500) for middle in (LATITUDE, LONGITUDE))
    found = cells.assign(latitude, longitude, nearest_within=600)
    centre = cells.centres()
    scale = RADIUS / 6_371_008.8 * 1000
    apart = scale * haversine_km(latitude[:, None], longitude[:, None], *centre)
    outside = cells.assign(latitude, longitude) < 0
    near = outside & (apart.min(axis=1) <= 599)
    assert near.sum() > 50 and (found[outside & (apart.min(axis=1) > 601)] == -1).all()
    assert np.allclose(apart[near, found[near]], apart[near].min(axis=1), atol=0.2)


def test_mercator_cells_stand_in_columns_and_shrink():
    cells = cut_region(metres(box(-300, -300, 300, 300)), 30.0, mercator=True)
    _, columns = cells.places(np.arange(len(cells)))
    assert len(np.unique(cells.centres().longitude.round(9))) == len(np.unique(columns))
    side = 30 * np.cos(np.radians(LATITUDE))
    assert cells.grid.side_m(cells.rows) == pytest.approx(side, rel=1e-3)
    latitude = np.unique(cells.centres().latitude)
    assert np.radians(np.diff(latitude)) * RADIUS == pytest.approx(side, rel=1e-3)


def test_nan_and_empty():
    cells = cut_region(metres(box(-50, -50, 50, 50)))
    assert cells.assign(np.array([np.nan, LATITUDE]), np.array([0.0, LONGITUDE])).tolist()[0] == -1
    none = RegionCells(CellGrid(), *(np.zeros(0, int),) * 3)
    assert len(none) == 0 and none.assign(np.array([1.0]), np.array([1.0]), nearest_within=50).tolist() == [-1]


def test_overlapping_runs_unite():
    cells = RegionCells(CellGrid(), np.array([2, 1, 1, 1, 1]), np.array([0, 5, 1, 2, 9]), np.array([0, 6, 4, 3, 9]))
    assert places(cells) == [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 9), (2, 0)]
    assert cells.rows.tolist() == [1, 1, 2]


@pytest.mark.parametrize("mercator", [False, True])
def test_files(tmp_path: Path, mercator: bool):
    cells = cut_region(metres(star(9)), 20.0, mercator)
    cells.save(tmp_path / "cellregion.npz")
    again = load_region_cells(tmp_path / "cellregion.npz")
    assert places(again) == places(cells) and again.grid == cells.grid
    with np.load(tmp_path / "cellregion.npz") as file:
        assert file["row_lens"].sum() == len(cells) == len(file["latlons"])
        parts = np.split(file["latlons"][:, 0], np.cumsum(file["row_lens"])[:-1])
        assert all(len(set(part)) == 1 for part in parts)
        moved = dict(file) | {"latlons": file["latlons"] + 1e-4}
    np.savez(tmp_path / "moved.npz", **moved)
    (tmp_path / "text.npz").write_text("text")
    for name, words in (("moved.npz", "not at multiples of 20 m"), ("text.npz", "not a file of cells")):
        with pytest.raises(PlacewiseError, match=words):
            load_region_cells(tmp_path / name)


def test_wrong_arguments():
    with pytest.raises(ArgumentError, match="cell_size.*0 must be above 0"):
        cut_region(box(0, 0, 1, 1), 0)
    with pytest.raises(ArgumentError, match="the region is empty"):
        cut_region(Polygon())
    with pytest.raises(ArgumentError, match="more than 10000000 rows; raise it"):
        cut_region(box(0, -80, 1, 80), 0.1)


def test_hundreds_of_thousands_of_cells_a_second():
    """The published loop takes about a minute for as many corners; an idle processor makes millions a second."""
    region = metres(star(10, points=500, radius=25_000))
    start = time.process_time()
    cells = cut_region(region)
    centres: Points = cells.centres()
    assert len(cells) > 800_000 and time.process_time() - start < len(cells) / 300_000
    start = time.process_time()
    assert np.array_equal(cells.assign(*centres), np.arange(len(cells)))
    assert time.process_time() - start < len(cells) / 300_000
