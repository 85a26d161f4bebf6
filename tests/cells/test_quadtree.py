import numpy as np
import pytest
import shapely

from cells.base import Points
from cells.partition import nested
from cells.quadtree import quadtree, quadtree_median
from commons.errors import ArgumentError
from tests.cells.worlds import sphere, towns


def plain(points: list[tuple[float, float]], most: int, depth: int) -> list[tuple[str, int]]:
    """OSV-5M's recursion, photo by photo: names and numbers of photos."""
    latitudes, longitudes = zip(*points, strict=True)
    found = []

    def visit(name: str, box: tuple[float, float, float, float], own: list[tuple[float, float]]) -> None:
        if not own:
            return
        if len(own) < most or len(name) == depth:
            found.append((name, len(own)))
            return
        south, west, north, east = box
        lat, lon = (south + north) / 2, (west + east) / 2
        boxes = [(south, west, lat, lon), (south, lon, lat, east), (lat, west, north, lon), (lat, lon, north, east)]
        for digit, part in enumerate(boxes):
            visit(f"{name}{digit}", part, [p for p in own if 2 * (p[0] >= lat) + (p[1] >= lon) == digit])

    root = (min(latitudes), min(longitudes), max(latitudes), max(longitudes))
    visit("", root, points)
    return sorted(found)


@pytest.mark.parametrize(("most", "depth"), [(50, 10), (200, 3), (1, 5), (10_000, 10)])
def test_midpoints_equal_the_plain_recursion(most: int, depth: int):
    points = sphere(1500)
    points = Points(points.latitude, points.longitude / 2)  # the widest gap is the antimeridian's
    cells = quadtree(points, max_images=most, max_depth=depth).with_photos(points)
    expected = plain(list(zip(points.latitude.tolist(), points.longitude.tolist(), strict=True)), most, depth)
    assert list(zip(cells.names.tolist(), cells.images.tolist(), strict=True)) == expected


def test_sixteen_photos_by_hand():
    """A square of 4 x 4 photos: the middle is 1.5, and photos on an edge belong to the box to the north and east."""
    latitude, longitude = (grid.ravel() for grid in np.meshgrid(np.arange(4.0), np.arange(4.0), indexing="ij"))
    cells = quadtree(Points(latitude, longitude), max_images=5).with_photos(Points(latitude, longitude))
    assert cells.names.tolist() == ["0", "1", "2", "3"] and cells.images.tolist() == [4] * 4
    np.testing.assert_allclose(cells.boxes[0], [0, 0, 1.5, 1.5])
    np.testing.assert_allclose(cells.point.latitude, [0.5, 0.5, 2.5, 2.5], atol=1e-3)
    assert cells.assign([0, 0, 1.5, 3, 3.1, -0.1], [0, 1.5, 0, 3, 3, 0]).tolist() == [0, 1, 2, 3, -1, -1]
    assert cells.assign([3.1], [3.0], nearest=True).tolist() == [3]


@pytest.mark.parametrize("build", [quadtree, quadtree_median])
def test_photos_lie_in_the_polygons_of_their_cells(build):
    points = towns(3000)
    cells = build(points, max_images=100)
    found = cells.assign(*points)
    assert (found >= 0).all()
    polygons = shapely.buffer(cells.polygons(), 1e-9)
    assert shapely.contains_xy(polygons[found], points.longitude, points.latitude).all()
    others = sphere(3000, seed=2)
    held = np.array([shapely.contains_xy(polygon, *others[::-1]) for polygon in cells.polygons()])
    assert (held.sum(axis=0) <= 1).all()
    np.testing.assert_array_equal(np.where(held.any(axis=0), held.argmax(axis=0), -1), cells.assign(*others))


def test_medians_share_photos_evenly():
    points = sphere(1024)
    cells = quadtree_median(points, max_images=20).with_photos(points)
    assert len(cells) == 64 and cells.images.tolist() == [16] * 64
    same = Points(np.full(50, 5.0), np.full(50, 6.0))
    assert len(quadtree_median(same, max_images=10)) == 1  # it cannot be cut
    line = Points(np.full(64, 5.0), np.arange(64.0))
    assert quadtree_median(line, max_images=20).with_photos(line).images.tolist() == [16] * 4


def test_a_tree_across_the_antimeridian():
    draw = np.random.default_rng(0)
    longitude = draw.uniform(170, 190, 1000)
    points = Points(draw.uniform(-20, -10, 1000), (longitude + 180) % 360 - 180)
    cells = quadtree(points, max_images=300)
    assert (cells.assign(*points) >= 0).all() and cells.boxes[:, 1].min() > 169
    assert len(cells) in (4, 7, 10, 13, 16)
    assert shapely.area(cells.polygons()).sum() == pytest.approx(200, rel=0.02)


def test_dropped_boxes_are_no_cells_and_sizes_are_nested():
    points = towns(3000)
    cells = quadtree(points, max_images=100, min_images=30)
    found = cells.assign(*points)
    assert (found < 0).any() and np.bincount(found[found >= 0], minlength=len(cells)).min() >= 30
    for build in (quadtree, quadtree_median):
        partition = nested([build(points, max_images=most) for most in (1000, 100)])
        fine = partition.finest
        assert all(
            name.startswith(partition.levels[0].names[parent])
            for name, parent in zip(fine.names, fine.parent, strict=True)
        )


def test_mistakes():
    with pytest.raises(ArgumentError, match="max_depth=25 must be at most 24"):
        quadtree(sphere(10), max_depth=25)
    with pytest.raises(ArgumentError, match="min_images=11: no cell contains that many of the 10 photos"):
        quadtree(sphere(10), min_images=11)
