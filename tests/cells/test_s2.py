import numpy as np
import pytest
import s2cell
import shapely

from cells import s2_ids
from cells.base import Points
from cells.partition import nested
from cells.polygons import areas_km2
from cells.s2 import S2Cells, partition, s2
from commons.errors import ArgumentError, PlacewiseError
from tests.cells.worlds import EDGES, sphere, towns


def plain(leaves: list[int], most: int, least: int, min_level: int, max_level: int) -> list[int]:
    """PlaNet's recursion, cell by cell."""
    found = []

    def visit(own: list[int], level: int) -> None:
        if len(own) < least:
            return
        if (len(own) <= most and level >= min_level) or level == max_level:
            found.append(s2cell.cell_id_to_parent_cell_id(own[0], level))
            return
        children: dict[int, list[int]] = {}
        for leaf in own:
            children.setdefault(s2cell.cell_id_to_parent_cell_id(leaf, level + 1), []).append(leaf)
        for part in children.values():
            visit(part, level + 1)

    faces: dict[int, list[int]] = {}
    for leaf in leaves:
        faces.setdefault(s2cell.cell_id_to_parent_cell_id(leaf, 0), []).append(leaf)
    for part in faces.values():
        visit(part, 0)
    return sorted(found)


@pytest.mark.parametrize(
    ("most", "least", "min_level", "max_level"),
    [(100, 10, 0, 30), (50, 1, 3, 30), (20, 5, 0, 6), (1, 1, 0, 30), (4000, 1, 0, 30), (30, 25, 2, 4)],
)
def test_partitions_equal_the_plain_recursion(most: int, least: int, min_level: int, max_level: int):
    points = towns(2000)
    leaves = np.sort(np.append(s2_ids.leaf_ids(*points), s2_ids.leaf_ids(*EDGES)))
    expected = plain(leaves.tolist(), most, least, min_level, max_level)
    assert partition(leaves, most, least, min_level, max_level).tolist() == expected


def test_photos_get_the_cells_that_hold_them():
    points = towns(3000)
    cells = s2(points, max_images=100, min_images=20)
    found = cells.assign(*points)
    for leaf, cell in zip(s2_ids.leaf_ids(*points).tolist(), found.tolist(), strict=True):
        ancestors = {s2cell.cell_id_to_parent_cell_id(leaf, level) for level in range(31)}
        own = [row for row, number in enumerate(cells.ids.tolist()) if number in ancestors]
        assert own == ([cell] if cell >= 0 else [])
    made = cells.with_photos(points)
    assert made.images.tolist() == np.bincount(found[found >= 0], minlength=len(cells)).tolist()
    assert made.images.min() >= 20 and made.images.max() <= 100 and made.images.sum() < 3000


def test_dropped_cells_unknown_positions_and_the_nearest_cell():
    cells = s2(Points(np.full(60, 10.0), np.full(60, 20.0)), max_images=100, min_images=50, min_level=4)
    assert len(cells) == 1
    latitude, longitude = np.array([10.0, -60, np.nan]), np.array([20.0, 100, 0])
    assert cells.assign(latitude, longitude).tolist() == [0, -1, -1]
    assert cells.assign(latitude, longitude, nearest=True).tolist() == [0, 0, -1]
    with pytest.raises(PlacewiseError, match="are they swapped"):
        cells.assign(longitude, latitude)


def test_resolutions_are_nested_when_only_the_size_differs():
    points = towns(4000)
    levels = [s2(points, max_images=most, min_images=10) for most in (500, 100, 30)]
    partition = nested(levels)
    for level, coarse in zip(partition.levels[1:], partition.levels, strict=False):
        for number, parent in zip(level.ids, level.parent, strict=True):
            assert s2_ids.first_leaf(coarse.ids)[parent] <= number <= s2_ids.last_leaf(coarse.ids)[parent]
    with pytest.raises(PlacewiseError, match=r"cell \w+ is in no cell of the coarser resolution"):
        nested([s2(points, max_images=500, min_images=200), levels[2]])


def test_polygons_cover_the_earth_at_every_level():
    for level in (0, 1, 2, 3):
        ids = np.unique(s2_ids.parents(s2_ids.leaf_ids(*sphere(20_000)), level))
        assert len(ids) == 6 * 4**level
        cells = S2Cells(ids)
        polygons = cells.polygons()
        assert shapely.is_valid(polygons).all()
        assert (shapely.bounds(polygons)[:, [0, 2]] >= -180).all() and shapely.bounds(polygons)[:, 2].max() <= 180
        assert areas_km2(polygons).sum() == pytest.approx(510_065_622, rel=1e-4)
        points = sphere(2000, seed=3)
        inside = shapely.contains_xy(polygons[cells.assign(*points)], points.longitude, points.latitude)
        assert inside.mean() > 0.99  # outlines are straight in degrees between corners


def test_mistakes():
    points = sphere(10)
    with pytest.raises(ArgumentError, match="min_images=50: no cell contains that many of the 10 photos; lower it"):
        s2(points)
    with pytest.raises(ArgumentError, match="`cell_options`: min_level=5 and max_level=3"):
        s2(points, min_level=5, max_level=3)
    with pytest.raises(ArgumentError, match="max_level=31"):
        s2(points, max_level=31)
