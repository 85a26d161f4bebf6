import numpy as np
import pytest

from cells.base import Points
from cells.grid import GridCells
from cells.partition import Partition, nested
from cells.s2 import s2
from cells.union import union_by
from commons.errors import PlacewiseError
from tests.cells.worlds import towns


def test_points_in_dropped_cells_keep_their_coarser_cell():
    points = towns(3000)
    partition = nested([s2(points, max_images=most, min_images=40) for most in (1000, 100)])
    cells = partition.assign(*points)
    dropped = cells[:, 1] < 0
    assert dropped.any() and (cells[dropped, 0] >= 0).any()
    np.testing.assert_array_equal(cells[:, 0], partition.levels[0].assign(*points))
    assert (partition.assign(*points, nearest=True) >= 0).all()
    assert partition.assign([np.nan], [1.0]).tolist() == [[-1, -1]]
    with pytest.raises(PlacewiseError, match="are they swapped"):
        partition.assign([100.0], [1.0])
    with_photos = partition.with_photos(Points(points.latitude[:10], points.longitude[:10]))
    assert with_photos.finest.images.sum() == (cells[:10, 1] >= 0).sum()
    assert partition.finest.images.sum() == 0  # unchanged


def test_unions_by_hand():
    """Four squares of a row, united two by two; the group without a square has no cell."""
    fine = GridCells(np.ones(4, int), np.arange(4), 5000.0)
    union = union_by(fine, np.array([0, 0, 2, 2]), ["a", "b", "c"])
    assert union.names.tolist() == ["a", "c"] and union.groups.tolist() == [0, 0, 1, 1]
    assert union.assign(*fine.centre).tolist() == [0, 0, 1, 1]
    assert union.polygon(0).area == pytest.approx(2 * fine.polygon(0).area)
    assert union.polygons()[1].equals(union.polygon(1))
    partition = Partition((union, fine.with_parents(union.groups)))
    assert partition.ancestors.tolist() == [[0, 0], [0, 1], [1, 2], [1, 3]]
