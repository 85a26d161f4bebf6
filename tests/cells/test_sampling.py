import numpy as np
import pytest
import shapely

from cells.sampling import draw_points


def shapes(*polygons: shapely.Geometry) -> np.ndarray:
    found = np.empty(len(polygons), object)
    found[:] = polygons
    return found


def test_points_are_uniform_over_the_area_on_the_sphere():
    """A band from 0 to 90 degrees: half of its area lies below 30 degrees; in the plane, a third would."""
    drawn = draw_points(shapes(shapely.box(10, 0, 50, 90)), 20_000, np.random.default_rng(0))
    assert (drawn.latitude < 30).mean() == pytest.approx(0.5, abs=0.015)
    assert np.sin(np.radians(drawn.latitude)).mean() == pytest.approx(0.5, abs=0.01)
    assert drawn.longitude.mean() == pytest.approx(30, abs=0.4) and drawn.longitude.max() > 49.9


def test_all_points_lie_in_the_polygons_in_proportion_to_their_area():
    # Two boxes at the equator of 8 and 2 square degrees, one with a hole of 2, and a triangle of 2.
    holed = shapely.box(0, -1, 4, 1) - shapely.box(1, -0.5, 3, 0.5)
    small, triangle = shapely.box(20, -1, 21, 1), shapely.Polygon([(40, -1), (42, -1), (40, 1)])
    drawn = draw_points(shapes(holed, small, triangle), 30_000, np.random.default_rng(1))
    shares = [shapely.contains_xy(shape, drawn.longitude, drawn.latitude).mean() for shape in (holed, small, triangle)]
    assert sum(shares) == 1 and shares == pytest.approx([0.6, 0.2, 0.2], abs=0.015)


def test_overlaps_count_once():
    twice = shapes(shapely.box(0, 0, 2, 1), shapely.box(0, 0, 1, 1))
    drawn = draw_points(twice, 20_000, np.random.default_rng(2))
    assert (drawn.longitude < 1).mean() == pytest.approx(0.5, abs=0.015)


def test_draws_follow_the_generator_and_more_points_begin_with_the_same():
    one, more, other = (
        draw_points(shapes(shapely.box(0, 0, 9, 9)), count, np.random.default_rng(seed))
        for count, seed in ((100, 0), (300, 0), (100, 1))
    )
    np.testing.assert_array_equal(one.latitude, more.latitude[:100])
    assert not np.isin(one.latitude, other.latitude).any()
