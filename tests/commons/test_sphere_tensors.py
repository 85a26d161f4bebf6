import numpy as np
import pytest
import torch

from commons import sphere
from commons.sphere_tensors import moved, tangents, to_degrees, unit_vectors

PLACES = np.array([[0, 0], [45, 180], [-30, -179.9], [90, 10], [-90, 0], [10.5, -77]])


def test_vectors_equal_those_of_numpy_and_return():
    found = unit_vectors(torch.tensor(PLACES))
    np.testing.assert_allclose(found.numpy(), sphere.unit_vectors(*PLACES.T), atol=1e-15)
    back = to_degrees(3 * found).numpy()
    assert sphere.haversine_km(*back.T, *PLACES.T).max() < 1e-6


@pytest.mark.parametrize("km", [(5.0, 0.0), (0.0, -7.0), (3.0, 4.0)])
def test_moves_are_as_long_and_as_directed_as_asked(km: tuple[float, float]):
    degrees = torch.tensor(PLACES)
    there = to_degrees(moved(unit_vectors(degrees), tangents(degrees), torch.tensor([km]).double())).numpy()
    assert sphere.haversine_km(*there.T, *PLACES.T) == pytest.approx(np.hypot(*km), rel=1e-5)
    inner = np.abs(PLACES[:, 0]) < 89
    east, north = sphere.to_local_km(*there[inner].T, *PLACES[inner].T)
    assert east == pytest.approx(km[0], abs=1e-4) and north == pytest.approx(km[1], abs=1e-4)
