import numpy as np
import pytest
import shapely
from sklearn.cluster import KMeans

from cells.base import Points
from cells.kmeans import cluster, kmeans
from commons.errors import ArgumentError
from commons.sphere import haversine_km, unit_vectors
from tests.cells.worlds import sphere, towns


def test_two_pairs_by_hand():
    points = Points(np.array([10.0, 10, -20, -20]), np.array([179.0, -179, 5, 7]))
    cells = kmeans(points, cells=2)
    order = np.argsort(cells.centre.latitude)
    assert np.abs(cells.centre.longitude[order]) == pytest.approx([6, 180])
    assert cells.centre.latitude[order] == pytest.approx([-20, 10], abs=0.01)
    assert len(set(cells.assign(*points)[:2])) == 1


def test_each_point_gets_the_nearest_centre():
    points = towns(2000)
    cells = kmeans(points, cells=30)
    distances = haversine_km(points.latitude[:, None], points.longitude[:, None], *cells.centre)
    found = cells.assign(*points)
    np.testing.assert_allclose(distances[np.arange(2000), found], distances.min(axis=1), atol=1e-6)
    assert np.bincount(found, minlength=30).min() > 0


def test_clusters_of_a_sample_are_as_good_as_those_of_all_photos():
    vectors = unit_vectors(*towns(20_000, number=12, spread=0.1))

    def cost(centres: np.ndarray) -> float:
        return ((vectors[:, None] - centres) ** 2).sum(axis=2).min(axis=1).sum()

    best = KMeans(12, n_init=3, random_state=0).fit(vectors).cluster_centers_
    assert cost(cluster(vectors, 12)) < 1.15 * cost(best)


def test_polygons_are_the_nearest_points_around_a_centre():
    points = towns(4000)
    cells = kmeans(points, cells=25)
    polygons, found = cells.polygons(), cells.assign(*points)
    assert shapely.is_valid(polygons).all()
    wider = shapely.buffer(polygons, 0.05)
    assert shapely.contains_xy(wider[found], points.longitude, points.latitude).all()
    others = sphere(4000, seed=5)
    for cell, polygon in enumerate(shapely.buffer(polygons, -0.05)):
        inside = shapely.contains_xy(polygon, others.longitude, others.latitude)
        assert (cells.assign(*others)[inside] == cell).all()
    assert cells.polygon(3).equals(polygons[3])


def test_more_cells_than_positions():
    points = Points(np.array([1.0, 1, 2, 3]), np.array([1.0, 1, 2, 3]))
    assert len(kmeans(points, cells=3)) == 3
    with pytest.raises(ArgumentError, match="cells=4: the photos have only 3 different positions; lower it"):
        kmeans(points, cells=4)
    many = Points(np.repeat([1.0, 2.0, 3.0], 1000), np.repeat([5.0, 5.0, 6.0], [1, 2998, 1]))
    assert len(kmeans(many, cells=3)) == 3  # a sample holds fewer of the five positions
