import numpy as np
import pytest
import shapely

from reports.geolocation.outlines import STEPS, bounds_of, decimals_for, encode_outlines, land


def decode(rings: list[list[int]], scale: float) -> shapely.Polygon:
    corners = [np.cumsum(np.array(ring).reshape(-1, 2), axis=0) / scale for ring in rings]
    return shapely.Polygon(corners[0], corners[1:])


def test_a_hand_made_ring():
    """Extent 20 degrees: steps of 20 / 4000 degrees need log10(1000) = 3 decimals."""
    assert decimals_for(20) == 3
    square = shapely.Polygon([(10, 50), (11, 50), (11, 51.5), (10, 51.5)])
    ((ring,),) = encode_outlines(np.array([square]), 20)
    corners = np.cumsum(np.array(ring).reshape(-1, 2), axis=0)
    assert {tuple(corner) for corner in corners.tolist()} == {
        (10000, 50000), (11000, 50000), (11000, 51500), (10000, 51500)
    }  # fmt: skip
    assert len(ring) == 8


def test_holes_and_parts_are_kept():
    ring = shapely.box(0, 0, 4, 4) - shapely.box(1, 1, 2, 2)
    shapes = np.array([shapely.MultiPolygon([ring, shapely.box(6, 0, 7, 1)])])
    (rings,) = encode_outlines(shapes, 10)
    assert sorted(len(own) for own in rings) == [8, 8, 8]
    assert sum(abs(decode([own], 10 ** decimals_for(10)).area) for own in rings) == pytest.approx(16 + 1 + 1)


def test_borders_that_neighbours_share_stay_shared():
    """A wavy border between two areas has far fewer corners, the same ones on both sides, and is nowhere far off."""
    y = np.linspace(0, 10, 5001)
    border = np.stack([5 + 0.4 * np.sin(y) + 1e-4 * np.sin(40 * y), y], axis=1)
    left = shapely.Polygon(np.roll([(0, 10), (0, 0), *border], 2345, axis=0))  # starts within the border
    right = shapely.Polygon([(10, 0), (10, 10), *border[::-1]])
    scale = 10 ** decimals_for(10)
    made = [decode(rings, scale) for rings in encode_outlines(np.array([left, right]), 10)]
    assert made[0].touches(made[1]) and made[0].area + made[1].area == pytest.approx(100, abs=1e-9)
    assert len(made[0].exterior.coords) < 500
    assert shapely.hausdorff_distance(made[0], left) < 3 * 10 / STEPS


@pytest.mark.parametrize(
    ("longitude", "limits"),
    [
        ([10, 12.0, np.nan], (9.92, 12.08)),
        ([179.0, -179], (178.92, 181.08)),
        ([179.0, 181], (178.92, 181.08)),
        ([5.0], (4.9995, 5.0005)),
        ([-170.0, -120, -70, -20, 30, 80, 130, 175], (-180, 180)),
        ([np.nan], (-180, 180)),
    ],
)
def test_bounds(longitude: list[float], limits: tuple[float, float]):
    bounds = bounds_of(np.full(len(longitude), 1.0), np.array(longitude))
    assert (bounds.west, bounds.east) == pytest.approx(limits)


def test_bounds_end_at_the_poles():
    bounds = bounds_of(np.array([89.9, 70]), np.array([0.0, 1]))
    assert bounds.north == 90 and bounds.south == pytest.approx(70 - 0.04 * 19.9)


def test_land_is_that_of_the_earth():
    """149 million km2, as the integral of sin(latitude) d longitude along the rings, times R^2."""
    area = 0.0
    for rings in land():
        for ring in rings:
            x, y = np.radians(np.cumsum(np.array(ring).reshape(-1, 2), axis=0) / 100).T
            assert np.abs(np.degrees(x)).max() <= 180 and np.abs(np.degrees(y)).max() <= 90
            mean = (np.sin(y) + np.sin(np.roll(y, -1))) / 2
            area += abs((mean * (np.roll(x, -1) - x)).sum()) * 6371.0088**2 * (1 if ring is rings[0] else -1)
    assert area / 1e6 == pytest.approx(148.9, rel=0.015)
