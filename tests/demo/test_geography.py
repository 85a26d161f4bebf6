"""The island, its municipalities and towns."""

import numpy as np
import pytest
import shapely
import utm

from commons.sphere import haversine_km
from demo.geography import VILLAGES, make_country, to_degrees


@pytest.fixture(scope="module", params=[0, 1, 2])
def country(request):
    return make_country(request.param, 48, 6)


def test_same_seed_same_country():
    one, again, other = make_country(0, 20, 4), make_country(0, 20, 4), make_country(1, 20, 4)
    assert shapely.equals_exact(one.shapes, again.shapes).all()
    assert np.array_equal(one.names, again.names) and np.array_equal(one.towns, again.towns)
    assert not shapely.equals_exact(one.shapes, other.shapes).any()


def test_municipalities_cover_one_island_without_overlap(country):
    assert shapely.is_valid(country.shapes).all()
    island = shapely.union_all(country.shapes)
    assert island.geom_type == "Polygon" and not island.interiors
    assert shapely.area(country.shapes).sum() == pytest.approx(island.area, rel=1e-9)


def test_island_lies_in_one_utm_zone_and_is_some_hundred_km_across(country):
    longitude, latitude = shapely.get_coordinates(country.shapes).T
    zones = {utm.from_latlon(*at)[2:] for at in zip(latitude, longitude, strict=True)}
    assert zones == {(25, "T")}
    assert 200 < haversine_km(latitude.min(), -33, latitude.max(), -33) < 400


def test_names_and_regions(country):
    every = [*country.names, *country.town_names[len(country.names) :]]
    assert len(set(every)) == len(every) and len(set(country.regions)) == 6
    assert np.bincount(country.region, minlength=6).min() >= 3


def test_towns_lie_in_their_municipality(country):
    owner = np.concatenate([np.arange(48), np.repeat(np.arange(48), VILLAGES)])
    np.testing.assert_array_equal(country.municipality(country.towns), owner)


def test_municipality_of_a_point_and_at_sea(country):
    inside = np.array([[0.0, 0.0], [40.0, -30.0]])
    found = country.municipality(np.concatenate([inside, [[400.0, 0.0]]]))
    assert found[2] == -1
    assert shapely.contains_xy(country.shapes[found[:2]], to_degrees(inside)).all()


def test_degrees_keep_kilometres():
    longitude, latitude = to_degrees(np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 6371.0088 * np.pi / 180]])).T
    assert (latitude[0], longitude[0]) == (46, -33) and latitude[2] == pytest.approx(47)
    assert haversine_km(latitude[0], longitude[0], latitude[1], longitude[1]) == pytest.approx(100, rel=1e-4)
