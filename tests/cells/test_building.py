from pathlib import Path

import numpy as np
import pytest
import shapely

from cells import CELLS, SIZE_OPTION, WITH_POLYGONS
from cells.building import build_partition, cells_help, read_cells
from cells.files import from_bytes, to_bytes
from cells.polygons import Polygons, read_polygons
from commons.errors import ArgumentError, PlacewiseError
from commons.options import options_of
from tests.cells.worlds import box, boxes, sphere, towns

COARSER = {
    "s2": ({"max_images": 100, "min_images": 10}, [400, 200]),
    "quadtree": ({"max_images": 100}, [300]),
    "quadtree_median": ({"max_images": 100}, [500]),
    "kmeans": ({"cells": 40}, [5, 15]),
    "grid": ({"size_km": 300.0}, [2700.0, 900.0]),
    "h3": ({"level": 2}, [0, 1]),
}


@pytest.mark.parametrize("name", CELLS)
def test_everything_describes_itself(name: str):
    text = cells_help(name)
    assert "--cell_options" not in text and "`cell_options`" in text and "https://" in text
    for key, option in options_of(CELLS[name]).items():
        assert option.kind is type(option.default) and f"  {key}={option.default} " in text
    assert (name in SIZE_OPTION) != (name in WITH_POLYGONS)


@pytest.mark.parametrize("name", COARSER)
def test_nested_resolutions(name: str):
    if name == "h3":
        pytest.importorskip("h3")
    points = towns(3000)
    options, coarser = COARSER[name]
    partition = build_partition(name, *points, options, coarser)
    sizes = [len(level) for level in partition.levels]
    assert len(sizes) == len(coarser) + 1 and sizes == sorted(sizes) and len(set(sizes)) == len(sizes)
    cells = partition.assign(*points)
    for column, level in enumerate(partition.levels):
        np.testing.assert_array_equal(cells[:, column], level.assign(*points))
        if column:
            known = cells[:, column] >= 0
            np.testing.assert_array_equal(level.parent[cells[known, column]], cells[known, column - 1])
            assert set(level.parent) == set(range(sizes[column - 1]))
            images = np.bincount(level.parent, level.images)
            assert (images <= partition.levels[column - 1].images).all()
    np.testing.assert_array_equal(partition.ancestors[:, -1], np.arange(sizes[-1]))
    assert (partition.levels[0].parent == -1).all()
    # Outlines of children lie in those of their parents.
    inner = shapely.area(shapely.intersection(
        partition.levels[0].polygons()[partition.levels[1].parent], partition.levels[1].polygons()
    ))  # fmt: skip
    np.testing.assert_allclose(inner, shapely.area(partition.levels[1].polygons()), rtol=0.01)


@pytest.mark.parametrize("name", COARSER)
def test_bytes_hold_the_same_cells(name: str):
    if name == "h3":
        pytest.importorskip("h3")
    points, others = towns(2000), sphere(2000)
    partition = build_partition(name, *points, *COARSER[name])
    again = from_bytes(to_bytes(partition))
    np.testing.assert_array_equal(again.assign(*others), partition.assign(*others))
    np.testing.assert_array_equal(again.ancestors, partition.ancestors)
    for level, same in zip(partition.levels, again.levels, strict=True):
        for attribute in ("names", "images", "parent", "reach_km"):
            np.testing.assert_array_equal(getattr(level, attribute), getattr(same, attribute))
        np.testing.assert_array_equal(level.point, same.point)
        assert shapely.equals(level.polygons(), same.polygons()).all()


def test_areas_regions_and_countries_are_resolutions():
    shapes = np.array([shapely.box(x, 0, x + 1, 1) for x in range(6)], dtype=object)
    texts = [np.array(list(letters), dtype=object) for letters in ("abcdef", "rrsstt", "XXXXYY")]
    polygons = Polygons(shapes, *texts)
    draw = np.random.default_rng(0)
    latitude, longitude = draw.uniform(0, 1, 600), draw.uniform(0, 6, 600)
    partition = build_partition("admin", latitude, longitude, {"cells": 8}, polygons=polygons)
    assert [len(level) for level in partition.levels] == [2, 3, 6, 8]
    assert [level.names.tolist() for level in partition.levels[:3]] == [["X", "Y"], list("rst"), list("abcdef")]
    cells = partition.assign([0.5, 0.5], [0.5, 4.5])
    assert cells[:, :3].tolist() == [[0, 0, 0], [1, 2, 4]]
    again = from_bytes(to_bytes(partition))
    np.testing.assert_array_equal(again.assign(latitude, longitude), partition.assign(latitude, longitude))
    same_region = Polygons(shapes, texts[0], np.full(6, "r", dtype=object), texts[2])
    assert [len(level) for level in build_partition("admin", latitude, longitude, polygons=same_region).levels] == [
        2,
        6,
    ]


def test_photos_without_a_position_are_counted(caplog: pytest.LogCaptureFixture):
    points = towns(500)
    latitude = points.latitude.copy()
    latitude[:7] = np.nan
    partition = build_partition("kmeans", latitude, points.longitude, {"cells": 5})
    assert partition.finest.images.sum() == 493
    assert "7 of 500 photos have no position and are left out" in caplog.text
    assert (partition.assign(latitude, points.longitude)[:7] == -1).all()
    with pytest.raises(ArgumentError, match="none of the 2 photos has a position"):
        build_partition("kmeans", np.full(2, np.nan), np.zeros(2))
    with pytest.raises(PlacewiseError, match="are they swapped"):
        build_partition("kmeans", points.longitude, points.latitude)
    with pytest.raises(ArgumentError, match="`polygons`: `cells` admin needs a file of polygons"):
        build_partition("admin", *points)


def test_class_points_and_reach():
    """Two photos at 0, 10 and 0, 12: the point is halfway, and they lie one degree, 111.2 km, to its east and west."""
    partition = build_partition("s2", [0.0, 0.0], [10.0, 12.0], {"min_images": 1})
    cells = partition.finest
    assert (cells.point.latitude[0], cells.point.longitude[0]) == pytest.approx((0, 11))
    assert cells.reach_km[0] == pytest.approx([111.195, 0], abs=1e-3)
    assert cells.centre.longitude[0] == pytest.approx(0)  # of the face


def test_options():
    assert read_cells("s2", {"max_images": "500"})[0] == {
        "max_images": 500, "min_images": 50, "min_level": 0, "max_level": 30,
    }  # fmt: skip
    assert read_cells("s2", {}, ["2000", "5000"])[1] == [5000, 2000]
    assert read_cells("kmeans", {"cells": "100"}, ["10", "30"])[1] == [10, 30]
    for name, options, coarser, words in (
        ("s3", {}, (), "`cells`: s3 is unknown; choose from s2, quad"),
        ("s2", {"max": "3"}, (), "`cell_options`: s2 has no option max"),
        ("s2", {}, ("500",), "`coarser`: 500: give different values of max_images, all above 1000"),
        ("kmeans", {}, ("10", "10"), "`coarser`: 10,10: give different values of cells, all below 1000"),
        ("grid", {}, ("x",), "`cell_options`: size_km=x is not a number"),
        ("admin", {}, ("5",), "`coarser`: the resolutions of admin come from `polygon_region` and"),
    ):
        with pytest.raises(ArgumentError, match=words):
            read_cells(name, options, coarser)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("s2", {"min_images": 50}, "min_images=50: no cell contains that many of the 3 photos"),
        ("quadtree", {"max_images": 2, "min_images": 5}, "min_images=5: no cell contains that many of the 3 photos"),
        ("grid", {"min_images": 5}, "min_images=5: no cell contains that many of the 3 photos"),
        ("kmeans", {"cells": 10}, "cells=10: the photos have only 3 different positions; lower it"),
        ("admin", {"cells": 10}, "cells=10: the positions of the photos give only 3 cells; lower it"),
    ],
)
def test_fewer_photos_than_cells_are_one_clear_line(name: str, options: dict, words: str, tmp_path: Path):
    areas = read_polygons(boxes(tmp_path / "a.geojson", [box(0, 0, 5, 5)], name=["a"])) if name == "admin" else None
    with pytest.raises(ArgumentError, match=f"`cell_options`: {words}"):
        build_partition(name, [1.0, 2, 3], [1.0, 2, 3], options, (), areas)
