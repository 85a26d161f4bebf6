import numpy as np
import pytest
import s2cell

from cells import s2_ids
from commons.sphere import to_degrees, unit_vectors
from tests.cells.worlds import EDGES, sphere


def expected(points: np.ndarray) -> np.ndarray:
    return np.fromiter((s2cell.lat_lon_to_cell_id(*point) for point in np.transpose(points)), np.uint64)


def test_ids_of_edges_and_random_points_equal_s2cells():
    np.testing.assert_array_equal(s2_ids.leaf_ids(*EDGES), expected(EDGES))
    points = sphere(20_000)
    np.testing.assert_array_equal(s2_ids.leaf_ids(*points), expected(points))


@pytest.mark.slow
def test_ids_of_a_million_points_equal_s2cells():
    points = sphere(1_000_000, seed=1)
    np.testing.assert_array_equal(s2_ids.leaf_ids(*points), expected(points))


@pytest.mark.parametrize("level", [0, 1, 2, 7, 13, 29, 30])
def test_parents_tokens_ranges_and_centres_equal_s2cells(level: int):
    leaves = s2_ids.leaf_ids(*sphere(300))
    ids = s2_ids.parents(leaves, level)
    assert ids.tolist() == [s2cell.cell_id_to_parent_cell_id(int(leaf), level) for leaf in leaves]
    assert s2_ids.levels(ids).tolist() == [level] * 300
    assert s2_ids.tokens(ids).tolist() == [s2cell.cell_id_to_token(int(number)) for number in ids]
    assert ((s2_ids.first_leaf(ids) <= leaves) & (leaves <= s2_ids.last_leaf(ids))).all()
    assert (s2_ids.last_leaf(ids) - s2_ids.first_leaf(ids) == 2 * (4 ** (30 - level) - 1)).all()
    centres = np.array([s2cell.cell_id_to_lat_lon(int(number)) for number in ids])
    np.testing.assert_allclose(np.transpose(to_degrees(s2_ids.corners(ids)[1])), centres, atol=1e-12)


def test_corners_surround_the_centre_and_touch_the_neighbours():
    ids = s2_ids.parents(s2_ids.leaf_ids(*sphere(200)), 5)
    corners, centre = s2_ids.corners(ids)
    inner = 0.999 * corners + 0.001 * centre[:, None]
    for corner in range(4):
        found = s2_ids.parents(s2_ids.leaf_ids(*to_degrees(inner[:, corner])), 5)
        np.testing.assert_array_equal(found, ids)
        side = np.cross(corners[:, corner], corners[:, (corner + 1) % 4])
        assert ((side * centre).sum(axis=1) > 0).all()  # counter-clockwise
    outer = 1.001 * corners - 0.001 * centre[:, None]
    assert (s2_ids.parents(s2_ids.leaf_ids(*to_degrees(outer[:, 0])), 5) != ids).all()


def test_the_first_face_by_hand():
    """Latitude 0, longitude 0 is the middle of face 0: the first cell of its third quarter along the curve."""
    (number,) = s2_ids.leaf_ids(np.array([0.0]), np.array([0.0]))
    assert int(number) == 0x1000000000000001
    assert s2_ids.tokens(s2_ids.parents(np.array([number]), 0)).tolist() == ["1"]
    np.testing.assert_allclose(s2_ids.corners(s2_ids.parents(np.array([number]), 0))[1][0], unit_vectors(0, 0))
