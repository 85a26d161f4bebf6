from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import shapely

from cells.admin import AdminCells, admin, admin_optics
from cells.base import Points
from cells.polygons import Polygons, areas_km2, read_polygons
from commons.errors import ArgumentError
from commons.sphere import haversine_km
from tests.helpers import ROOT

DENMARK = ROOT.parent / "shared" / "data" / "denmark" / "kommuner.geojson"


def areas(*shapes: tuple[float, float, float, float], regions: str | None = None) -> Polygons:
    """Boxes (west, south, east, north) named a, b, c ..., with one letter each for their regions."""
    names = np.array([chr(ord("a") + row) for row in range(len(shapes))], dtype=object)
    none = np.full(len(shapes), "", dtype=object)
    own = none if regions is None else np.array(list(regions), dtype=object)
    return Polygons(np.array([shapely.box(*shape) for shape in shapes], dtype=object), names, own, none)


def photos(*rows: tuple[float, float, int], spread: float = 0.0) -> Points:
    """Photos around points: latitude, longitude, how many."""
    draw = np.random.default_rng(0)
    points = np.repeat([row[:2] for row in rows], [row[2] for row in rows], axis=0)
    points = points + draw.uniform(-spread, spread, points.shape)
    return Points(*points.T)


SQUARES = areas((0, 0, 1, 1), (1, 0, 2, 1), (2, 0, 3, 1), (5, 0, 6, 1), regions="xxyx")


def test_points_inside_on_borders_and_outside():
    cells = AdminCells(SQUARES.names, SQUARES.shapes, SQUARES.names, SQUARES.regions, SQUARES.countries)
    latitude = np.array([0.5, 0.5, 0.5, 0.5, 0.5, 60, -80, np.nan])
    longitude = np.array([0.5, 1.5, 1.0, 4.2, 3.8, 2.5, -179, 0])
    found = cells.assign(latitude, longitude)
    assert found[[0, 1, 3, 4, 5]].tolist() == [0, 1, 3, 2, 2] and found[2] in (0, 1)
    assert found[6] in (0, 3) and found[7] == -1
    outside = cells.outside_km(latitude[:5], longitude[:5])
    assert outside[[0, 1, 3]] == pytest.approx([0, 0, haversine_km(0.5, 4.2, 0.5, 5)], rel=1e-3)


def test_the_nearest_polygon_is_nearest_on_the_ground_not_in_degrees():
    """At 60 degrees north, 1.6 degrees of longitude are shorter than 1 degree of latitude."""
    shapes = areas((11.6, 59.9, 12, 60.1), (9.9, 61, 10.1, 62))
    cells = AdminCells(shapes.names, shapes.shapes, shapes.names, shapes.regions, shapes.countries)
    assert cells.assign([60.0], [10.0]).tolist() == [0]


def test_small_areas_are_united_with_neighbours_of_their_region():
    """b has one photo: it joins a, of its region, though c, its other neighbour, has more photos."""
    cells = admin(photos((0.5, 0.5, 20), (0.5, 1.5, 1), (0.5, 2.5, 90), (0.5, 5.5, 30)), SQUARES, min_images=10)
    assert cells.names.tolist() == ["a", "c", "d"]
    assert areas_km2(cells.shapes) == pytest.approx(areas_km2(SQUARES.shapes)[[0, 2, 3]] * [2, 1, 1])
    # c is the only area of its region: it joins its neighbour.
    cells = admin(photos((0.5, 0.5, 20), (0.5, 1.5, 20), (0.5, 2.5, 1), (0.5, 5.5, 30)), SQUARES, min_images=10)
    assert cells.names.tolist() == ["a", "b", "d"]
    # d touches none: the nearest of its region is b.
    cells = admin(photos((0.5, 0.5, 20), (0.5, 1.5, 20), (0.5, 2.5, 20)), SQUARES)
    assert cells.names.tolist() == ["a", "b", "c"] and cells.assign([0.5], [5.5]).tolist() == [1]
    # Fewer photos than wanted in all.
    assert len(admin(photos((0.5, 0.5, 2)), SQUARES, min_images=10)) == 1


def test_the_largest_area_is_split_halfway_between_two_towns():
    shapes = areas((0, 0, 4, 1), (4, 0, 5, 1))
    towns = photos((0.5, 1, 50), (0.5, 2.5, 70), (0.5, 4.5, 10), spread=0.1)
    cells = admin(towns, shapes, cells=3).with_photos(towns)
    assert sorted(cells.names) == ["a 1", "a 2", "b"] and sorted(cells.images) == [10, 50, 70]
    assert cells.areas.tolist() == ["a", "a", "b"]
    west, east = sorted(cells.shapes[:2], key=lambda shape: shape.bounds[0])
    assert west.bounds[2] == pytest.approx(1.75, abs=0.03) == east.bounds[0]
    assert shapely.intersection(west, east).area == pytest.approx(0, abs=1e-12)
    assert west.area + east.area == pytest.approx(4, rel=1e-9)


def test_an_area_without_two_positions_is_not_split():
    shapes = areas((0, 0, 4, 1), (4, 0, 5, 1))
    one = photos((0.5, 1, 50), (0.5, 4.3, 5), (0.5, 4.7, 5))
    assert admin(one, shapes, cells=3).names.tolist() == ["a", "b 1", "b 2"]
    with pytest.raises(ArgumentError, match="cells=9: the positions of the photos give only 3 cells; lower it"):
        admin(one, shapes, cells=9)
    with pytest.raises(ArgumentError, match="cells=1 is less than the number of areas \\(2\\)"):
        admin(one, shapes, cells=1)


def test_optics_splits_where_photos_cluster():
    shapes = areas((0, 0, 4, 1), (4, 0, 5, 1))
    towns = photos((0.5, 0.5, 100), (0.5, 3, 80), (0.5, 4.5, 30), spread=0.05)
    cells = admin_optics(towns, shapes, max_images=120, min_images=20, min_samples=8, xi=0.3).with_photos(towns)
    assert sorted(cells.images) == [30, 80, 100] and cells.names.tolist() == ["a 1", "a 2", "b"]
    assert len(admin_optics(towns, shapes, max_images=200, min_images=20, min_samples=8, xi=0.3)) == 2
    assert (
        len(admin_optics(towns, shapes, max_images=120, min_images=90, min_samples=8, xi=0.3)) == 1
    )  # one town is too small
    for wrong in ({"xi": 1.0}, {"min_samples": 1}):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            admin_optics(towns, shapes, **wrong)


def in_denmark(count: int, seed: int, kommuner: AdminCells) -> Points:
    """Points uniform by area."""
    west, south, east, north = shapely.total_bounds(kommuner.shapes)
    draw = np.random.default_rng(seed)
    sines = draw.uniform(*np.sin(np.radians([south, north])), 5 * count)
    points = Points(np.degrees(np.arcsin(sines)), draw.uniform(west, east, 5 * count))
    inside = kommuner.outside_km(*points) == 0
    return Points(*(column[inside][:count] for column in points))


@pytest.mark.slow
@pytest.mark.skipif(not DENMARK.exists(), reason="needs the municipalities of Denmark")
def test_denmark_in_129_cells(tmp_path: Path):
    read = read_polygons(DENMARK, name="KOMNAVN")
    kept = read.names != "Christiansø"  # no municipality
    kommuner = Polygons(read.shapes[kept], read.names[kept], read.regions[kept], read.countries[kept])
    whole = AdminCells(kommuner.names, kommuner.shapes, kommuner.names, kommuner.regions, kommuner.countries)
    assert len(whole) == 98
    photos = in_denmark(42_570, 2, whole)
    cells = admin(photos, kommuner, cells=129).with_photos(photos)
    assert len(cells) == 129 and cells.images.min() > 0 and cells.images.sum() == 42_570
    parts = Counter(cells.areas)
    # 31 splits of 26 or 27 municipalities; another draw of points moves one or two.
    assert {"Aalborg", "Herning", "Ringkøbing-Skjern", "Viborg"} <= {name for name, n in parts.items() if n >= 3}
    assert len(parts) == 98 and sum(n == 1 for n in parts.values()) in (71, 72)
    assert (cells.assign(*photos) >= 0).all()
    area = areas_km2(cells.shapes)
    assert area.sum() == pytest.approx(43_057.5, rel=1e-4)
    for name, shape in zip(kommuner.names, kommuner.shapes, strict=True):
        assert area[cells.areas == name].sum() == pytest.approx(areas_km2(np.array([shape]))[0], rel=1e-3)
    # The area of a cell is the share of points in it.
    share = np.bincount(cells.assign(*photos), minlength=129) / 42_570
    assert np.abs(share - area / area.sum()).max() < 0.0015
