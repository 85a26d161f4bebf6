from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from commons.errors import PlacewiseError
from datasets.geodesy import to_utm
from datasets.places import Places, make_places


def table(**columns: list) -> Places:
    """Places named 0.jpg, 1.jpg, ... with these columns."""
    size = len(next(iter(columns.values())))
    arrays = {name: np.array(values, dtype=float) for name, values in columns.items()}
    return make_places(Path("."), pa.array([f"{i}.jpg" for i in range(size)]), **arrays)


def test_degrees_become_utm_when_asked_for():
    places = table(latitude=[52.2, -33.9], longitude=[0.12, 151.2])
    assert places.given_utm is None and "utm" not in places.__dict__
    for column, expected in zip(places.utm, to_utm(np.array([52.2, -33.9]), np.array([0.12, 151.2])), strict=True):
        assert np.array_equal(column, expected)
    assert places.utm_zone.tolist() == [31, -56]
    assert places.utm is places.utm
    assert places.latitude is places.given_degrees.latitude


def test_utm_with_a_zone_becomes_degrees_when_asked_for():
    """Statue of Liberty and Sydney Opera House."""
    places = table(utm_east=[580735.645, 334884.960, 5], utm_north=[4504700.381, 6252244.332, 5], utm_zone=[18, -56, 0])
    assert places.latitude == pytest.approx([40.689247, -33.857198, np.nan], abs=1e-7, nan_ok=True)
    assert places.longitude == pytest.approx([-74.044502, 151.215123, np.nan], abs=1e-7, nan_ok=True)
    assert places.located.all()
    assert places.utm_east is places.given_utm.east and places.utm_zone is places.given_utm.zone


def test_each_image_keeps_what_its_source_says():
    """Degrees alone, UTM alone, both, nothing, and UTM without a zone beside degrees."""
    nan = np.nan
    places = table(
        utm_east=[nan, 580735.645, 1, nan, 7],
        utm_north=[nan, 4504700.381, 2, nan, 8],
        utm_zone=[0, 18, 31, 0, 0],
        latitude=[52.2, nan, 10.5, nan, 9.5],
        longitude=[0.12, nan, 20.5, nan, 8.5],
    )
    assert places.located.tolist() == [True, True, True, False, True]
    assert places.latitude == pytest.approx([52.2, 40.689247, 10.5, nan, 9.5], abs=1e-7, nan_ok=True)
    assert places.utm_zone.tolist() == [31, 18, 31, 0, 0]
    assert places.utm_east[1:].tolist()[:2] == [580735.645, 1] and places.utm_east[4] == 7
    assert places.utm_east[0] == to_utm(np.array([52.2]), np.array([0.12]))[0][0]


def test_the_poles_and_the_antimeridian_are_places_without_or_with_utm():
    places = table(latitude=[90, -90, 84.5, 0], longitude=[0, 45, -180, 180])
    assert places.located.all()
    assert np.isnan(places.utm_east).tolist() == [True, True, True, False]
    assert places.utm_zone.tolist() == [0, 0, 0, 1]


def test_heading_is_taken_modulo_360():
    assert table(utm_east=[0, 0, 0], utm_north=[0, 0, 0], heading=[-10, 360, 725]).heading.tolist() == [350, 0, 5]


@pytest.mark.parametrize(("latitude", "longitude"), [(151.2, -33.8), (10, 200), (90.001, 0), (-91, 0), (0, -180.5)])
def test_degrees_that_are_no_point_on_earth_are_named(latitude: float, longitude: float):
    with pytest.raises(PlacewiseError, match="1.jpg: .*1 such images.* swapped"):
        table(latitude=[10, latitude], longitude=[10, longitude])


def test_wrong_degrees_beside_utm_are_unknown():
    places = table(utm_east=[580735.645], utm_north=[4504700.381], utm_zone=[18], latitude=[400], longitude=[0])
    assert places.latitude == pytest.approx([40.689247])


def test_given_columns_are_not_written_to():
    """They may lie in a file that is mapped for reading."""
    east = np.array([1.0, np.nan])
    east.flags.writeable = False
    degrees = np.array([np.nan, 52.2])
    places = make_places(Path("."), pa.array(["a", "b"]), east, east, latitude=degrees, longitude=degrees)
    assert places.located.all() and np.isfinite(places.utm_east).all() and np.isnan(east[1])


def test_take_keeps_columns_together():
    places = table(utm_east=[1, 2, 3], utm_north=[4, 5, 6], heading=[7, 8, 9]).take(np.array([2, 0]))
    assert [places.path(i).name for i in range(2)] == ["2.jpg", "0.jpg"]
    assert places.utm_east.tolist() == [3, 1]
    assert places.heading.tolist() == [9, 7]


def test_take_keeps_what_was_computed():
    places = table(latitude=[52.2, -33.9, 10], longitude=[0.12, 151.2, 20])
    east = places.utm_east
    taken = places.take(np.array([2, 0]))
    assert taken.__dict__["utm"].east.tolist() == east[[2, 0]].tolist()
    assert "degrees" not in taken.__dict__ and taken.latitude.tolist() == [10, 52.2]


def test_a_table_without_any_position():
    places = make_places(Path("."), pa.array(["a", "b"]))
    assert not places.located.any()
    assert np.isnan(places.latitude).all() and np.isnan(places.utm_north).all() and not places.utm_zone.any()
    assert len(places.take(np.array([1]))) == 1
