"""Names of positions."""

import numpy as np

from commons.sphere import haversine_km
from datasets.gazetteer import gazetteer


def name_of(latitude: float, longitude: float) -> str:
    return gazetteer().named(np.array([latitude]), np.array([longitude]))[0].name


def test_towns_regions_and_countries_are_named():
    assert name_of(52.205, 0.119) == "Cambridge, England, United Kingdom"
    assert name_of(56.0, 9.1) == "17 km from Herning, Central Jutland, Denmark"


def test_far_from_any_town_the_country_is_named_or_the_sea():
    assert name_of(-75.0, 0.0) == "Antarctica"
    assert name_of(0.0, -30.0) == "at sea or far from any town (838 km)"


def test_countries_end_at_their_borders_also_those_across_the_antimeridian():
    assert name_of(68.5, -40.0) == "Greenland" and name_of(66.5, -175.0) == "Russia"
    widths = np.ptp(np.array([shape.bounds for shape in gazetteer().outlines])[:, ::2], axis=1)
    crossing = {"Antarctica", "Russia", "Fiji"}
    assert set(gazetteer().country_names[widths > 180]) - {"United States of America"} == crossing
    for name in ("Russia", "Fiji"):
        (row,) = np.flatnonzero(gazetteer().country_names == name)
        assert all(part.bounds[2] - part.bounds[0] < 180 for part in gazetteer().outlines[row].geoms)


def test_the_nearest_town_is_that_of_all_distances_also_across_the_antimeridian():
    known, draw = gazetteer(), np.random.default_rng(0)
    points = [(draw.uniform(-60, 70), draw.uniform(-180, 180)) for _ in range(20)] + [(-17.0, 180.0), (65.0, -179.9)]
    for latitude, longitude in points:
        km = haversine_km(latitude, longitude, known.columns["latitude"], known.columns["longitude"])
        found = known.named(np.array([latitude]), np.array([longitude]))[0]
        assert abs(found.km - km.min()) < 1e-6 * max(1, km.min())
