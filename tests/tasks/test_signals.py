from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from datasets.places import make_places
from metrics.confidence import spatial_uncertainty
from tasks.measuring import Evaluation
from tasks.signals import from_first, margins, measures_of, uncertainties


def street(**columns: object) -> Evaluation:
    """Three queries, four database images at 0, 10, 100 and 200 m, three predictions each."""
    names = pa.array([f"{number}.jpg" for number in range(4)])
    database = make_places(Path("x"), names, **columns)
    predictions = np.array([[0, 1, 2], [3, 2, 1], [2, 3, 0]])
    similarities = np.array([[0.9, 0.8, 0.6], [0.9, 0.9, 0.1], [0.5, 0.4, 0.3]], np.float32)
    return Evaluation({}, database, database.take(np.arange(3)), predictions, similarities, None, 25.0, 0.0)


IN_UTM = {
    "utm_east": 500_000 + np.array([0, 10, 100, 200.0]), "utm_north": np.full(4, 4e6), "utm_zone": np.full(4, 10)
}  # fmt: skip


def test_by_hand():
    own = street(**IN_UTM)
    assert from_first(own).tolist() == [[0, 10, 100], [0, 100, 190], [0, 100, 100]]
    assert margins(own) == pytest.approx([0.3, 0.0, 0.1])  # the second image of the first query shows the same place
    positions = own.database.utm_east[own.predictions][:, :, None]
    assert uncertainties(own) == pytest.approx(spatial_uncertainty(own.similarities, positions))
    assert uncertainties(own)[1] == pytest.approx(50, abs=1e-3)  # two equal ones, 100 m apart


def test_places_in_two_zones_are_compared_on_the_ground():
    zones = IN_UTM | {"utm_zone": np.array([10, 10, 10, 11])}
    plain, across = uncertainties(street(**IN_UTM)), uncertainties(street(**zones))
    assert across[0] == pytest.approx(plain[0], rel=0.01)
    assert across[1] > 100_000


def test_without_positions_there_are_no_uncertainties():
    own = street()
    assert np.isnan(uncertainties(own)).all()
    assert list(measures_of(own)) == ["L2", "PA-score", "margin", "random"]
