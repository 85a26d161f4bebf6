import sys

import numpy as np
import pytest
import shapely

from cells.building import build_partition
from cells.hexagons import h3
from commons.errors import ArgumentError, PlacewiseError
from tests.cells.worlds import sphere, towns


def test_hexagons_are_those_of_the_package():
    library = pytest.importorskip("h3")
    points = towns(500)
    cells = h3(points, level=2)
    found = cells.assign(*points)
    for lat, lon, cell in zip(*points, found, strict=True):
        assert library.latlng_to_cell(lat, lon, 2) == cells.names[cell]
    assert shapely.is_valid(cells.polygons()).all()
    assert cells.assign(*sphere(100, seed=9)).min() == -1


def test_coarser_resolutions_are_the_packages_parents():
    library = pytest.importorskip("h3")
    points = towns(800)
    partition = build_partition("h3", *points, {"level": 3}, [1])
    coarse, fine = partition.levels
    for name, parent in zip(fine.names, fine.parent, strict=True):
        assert library.cell_to_parent(name, 1) == coarse.names[parent]
    np.testing.assert_array_equal(partition.assign(*points)[:, 0], fine.parent[fine.assign(*points)])


def test_mistakes(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ArgumentError, match="level=16 must be at most 15"):
        h3(sphere(3), level=16)
    monkeypatch.setitem(sys.modules, "h3.api", None)
    with pytest.raises(PlacewiseError, match="need the package h3: pip install h3"):
        h3(sphere(3))
