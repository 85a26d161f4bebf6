import math

import pytest
import torch

from losses.geolocation.haversine import HaversineSmoothing
from tests.losses.geolocation.examples import DEGREE_KM, LINE, outputs, truth

P = [0.3, 0.2, 0.4, 0.1]


@pytest.mark.parametrize(
    ("options", "reference"),
    [({"normalise": False}, 0.6), ({"normalise": False, "nearest": True}, 0.4), ({"normalise": True}, None)],
)
def test_equals_the_papers_formula(options: dict[str, bool], reference: float | None):
    """A photo at 1.4 degrees: 1.4, 0.4, 0.6 and 2.6 degrees from the points. Its cell is the third, not the nearest."""
    distances = [1.4, 0.4, 0.6, 2.6]
    tau = 75 / DEGREE_KM
    labels = [math.exp(-(d - (reference or 0)) / tau) for d in distances]
    if reference is None:
        labels = [label / sum(labels) for label in labels]
    loss = HaversineSmoothing(LINE, tau=75, **options)
    where = truth([1.4], [[1, 2]])
    assert loss.labels(where)[0].tolist() == pytest.approx(labels, rel=1e-4)
    expected = -sum(label * math.log(p) for label, p in zip(labels, P, strict=True))
    assert loss(outputs([P]), where).item() == pytest.approx(expected, rel=1e-4)


def test_the_loss_is_least_at_the_labels():
    loss, where = HaversineSmoothing(LINE), truth([1.4], [[1, 2]])
    best = outputs(loss.labels(where).tolist())
    for other in (P, [0.25] * 4, [0.01, 0.01, 0.97, 0.01]):
        assert loss(best, where) < loss(outputs([other]), where)


def test_photos_in_no_cell_count_where_their_own_cell_is_not_needed():
    where = truth([1.4], [[-1, -1]])
    assert HaversineSmoothing(LINE)(outputs([P]), where) > 0
    assert HaversineSmoothing(LINE, normalise=False, nearest=True)(outputs([P]), where) > 0
    assert HaversineSmoothing(LINE, normalise=False)(outputs([P]), where) == 0


def test_a_small_tau_is_cross_entropy():
    where = truth([1.1], [[0, 1]])
    assert HaversineSmoothing(LINE, tau=0.1)(outputs([P]), where).item() == pytest.approx(-math.log(0.2), rel=1e-5)
    assert torch.isfinite(HaversineSmoothing(LINE, tau=0.001).labels(where)).all()
