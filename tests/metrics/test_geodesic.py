import math

import numpy as np
import pytest

from commons.errors import ArgumentError
from metrics import geodesic
from metrics.geodesic import bootstrap_intervals, cell_accuracies, geodesic_metrics, label_accuracies

DISTANCES = np.array([0.5, 1.0, 20.0, 300.0, 3000.0, np.nan])


def test_figures_worked_by_hand():
    """Six photos, one of them without an answer: it counts in shares and GeoScore, not in mean and median."""
    found = geodesic_metrics(DISTANCES)
    assert list(found) == [
        "within 1 km", "within 25 km", "within 200 km", "within 750 km", "within 2500 km",
        "mean km", "median km", "GeoScore", "unanswered",
    ]  # fmt: skip
    shares = [100 * hits / 6 for hits in (2, 3, 3, 4, 4)]
    scores = [5000 * math.exp(-d / 1492.7) for d in (0.5, 1, 20, 300, 3000)]
    assert list(found.values()) == pytest.approx([*shares, 3321.5 / 5, 20, sum(scores) / 6, 1])
    assert geodesic_metrics(DISTANCES, (300, 0.4)) == pytest.approx(
        {"within 300 km": 100 * 4 / 6, "within 0.4 km": 0} | dict(list(found.items())[5:])
    )


def test_no_answers_and_no_photos():
    for distances in (np.array([np.nan, np.nan]), np.zeros(0)):
        found = geodesic_metrics(distances)
        assert math.isnan(found["mean km"]) and math.isnan(found["median km"])
        assert found["within 2500 km"] == found["GeoScore"] == 0 and found["unanswered"] == len(distances)
        assert all(map(math.isnan, bootstrap_intervals(distances)["within 1 km"]))


def test_both_earths():
    """A degree of latitude at the equator of WGS84 is 110.574 km, and 111.195 km on the sphere."""
    columns = [np.array(column, float) for column in ([0, 0, np.nan], [0, 10, 0], [1, 0, 0], [0, 11, 0])]
    sphere, ellipsoid = (geodesic.distances_km(*columns, earth=earth) for earth in ("sphere", "wgs84"))
    assert sphere[:2] == pytest.approx([111.195, 111.195], abs=1e-3)
    assert ellipsoid[:2] == pytest.approx([110.574, 111.320], abs=1e-3)
    assert np.isnan(sphere[2]) and np.isnan(ellipsoid[2])
    with pytest.raises(ArgumentError, match="`earth`: flat is unknown"):
        geodesic.distances_km(*columns, earth="flat")


def test_bootstrap_equals_drawing_photo_by_photo():
    draw = np.random.default_rng(5)
    distances = np.where(draw.random(201) < 0.1, np.nan, draw.exponential(500, 201))
    generator, samples = np.random.default_rng(3), []
    ordered = np.sort(distances)
    for _ in range(50):
        samples.append(geodesic_metrics(ordered[generator.integers(0, 201, 201)]))
    found = bootstrap_intervals(distances, draws=50, level=0.9, seed=3)
    for name, ends in found.items():
        assert ends == pytest.approx(np.percentile([sample[name] for sample in samples], [5, 95])), name


def test_bootstrap_interval_of_a_share_is_near_the_binomial_one():
    distances = np.where(np.arange(400) < 100, 10.0, 1000.0)
    low, high = bootstrap_intervals(distances)["within 25 km"]
    half = 196 * math.sqrt(0.25 * 0.75 / 400)
    assert (low, high) == pytest.approx((25 - half, 25 + half), abs=0.6)


def test_oracle_distances():
    cells = np.array([0, 1, -1])
    found = geodesic.oracle_distances(
        np.array([0.0, 0, 0]), np.array([1.0, 2, 3]), cells, np.array([0.0, 1]), np.array([1.0, 2])
    )
    assert found[0] == 0 and found[1] == pytest.approx(111.195, abs=1e-3) and np.isnan(found[2])


def test_cell_accuracies():
    ranked = np.array([[3, 1, 2], [0, 3, 1], [2, 0, 1], [1, 2, 3]])
    true = np.array([3, 1, -1, 2])
    assert cell_accuracies(ranked, true, (1, 2, 5)) == {"cell top-1": 25, "cell top-2": 50, "cell top-5": 75}
    assert cell_accuracies(np.zeros((0, 1), int), np.zeros(0, int)) == {"cell top-1": 0, "cell top-5": 0}


def test_label_accuracies_leave_out_what_has_no_label():
    predicted = {"country": np.array(["DK", "DK", "SE", ""]), "city": np.array(["Aarhus", "x", "y", "z"])}
    true = {
        "country": np.array(["DK", "SE", "SE", ""]),
        "city": np.array([None, float("nan"), "", None], dtype=object),
        "region": np.array(["a"] * 4),
    }
    found = label_accuracies(predicted, true)
    assert found["country"] == (pytest.approx(200 / 3), 3)
    assert math.isnan(found["city"][0]) and found["city"][1] == 0
    assert list(found) == ["country", "city"]


def test_nearest_references_across_the_antimeridian():
    rows = geodesic.nearest_references(
        np.array([0.0, np.nan, 89]), np.array([-179.9, 0, -90]), np.array([0.0, 0, 80]), np.array([175.0, -170, 90])
    )
    assert rows.tolist() == [0, -1, 2]


def test_main_metrics():
    assert geodesic.metric_named("within 25 km").higher_is_better
    assert geodesic.metric_named("GeoScore").better(4000, 3000)
    assert geodesic.metric_named("median km").better(10, 20)
    assert geodesic.metric_named("within 5 km", (5.0,)).name == "within 5 km"
    with pytest.raises(ArgumentError, match="`main_metric`: within 5 km is unknown; choose from within 1 km, "):
        geodesic.metric_named("within 5 km")
