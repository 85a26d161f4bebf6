import numpy as np
import torch

from commons.sphere import from_local_km, haversine_km
from model.location.building import build_location_encoder
from model.location.descent import descend
from model.location.encoder import LocationEncoder, encode


def encoder() -> LocationEncoder:
    return build_location_encoder("spherical_harmonics", {"legendre": 12, "width": 64, "dim": 32}, seed=0)


def beside(degrees: np.ndarray, km: float) -> torch.Tensor:
    angle = np.random.default_rng(1).uniform(0, 2 * np.pi, len(degrees))
    return torch.tensor(np.stack(from_local_km(km * np.cos(angle), km * np.sin(angle), *degrees.T), axis=1))


def test_positions_are_found_everywhere_poles_and_antimeridian_included():
    draw, network = np.random.default_rng(0), encoder()
    special = [[90, 0], [-90, 0], [89.99, 50], [10, 180], [-40, -179.99], [0, 0]]
    truth = np.array([*special, *np.stack([draw.uniform(-80, 80, 50), draw.uniform(-180, 180, 50)], axis=1)])
    found = descend(network, 7 * encode(network, torch.tensor(truth)), beside(truth, 20.0))
    assert found.shape == (56, 2) and found.dtype == torch.float64
    errors = haversine_km(*found.numpy().T, *truth.T)
    assert np.median(errors) < 0.05 and errors.max() < 1  # float32


def test_the_start_that_ends_nearest_counts():
    network, truth = encoder(), np.array([[30.0, 20.0], [-50.0, 100.0]])
    near, far = beside(truth, 10.0), beside(truth, 9_000.0)
    wanted = encode(network, torch.tensor(truth))
    for starts in (torch.stack([near, far], dim=1), torch.stack([far, near], dim=1)):
        assert haversine_km(*descend(network, wanted, starts).numpy().T, *truth.T).max() < 1
    assert haversine_km(*descend(network, wanted, far).numpy().T, *truth.T).max() > 100


def test_no_step_leads_further_away_and_none_is_left_behind():
    """Wanted embeddings that no position has, and an encoder that is rough on the scale of the steps."""
    network = build_location_encoder("geoclip", seed=0)
    draw = np.random.default_rng(2)
    starts = torch.tensor(np.stack([draw.uniform(-80, 80, 40), draw.uniform(-170, 170, 40)], axis=1))
    wanted = torch.nn.functional.normalize(torch.randn(40, 512, generator=torch.Generator().manual_seed(0)), dim=1)

    def distances(degrees: torch.Tensor) -> torch.Tensor:
        return (torch.nn.functional.normalize(encode(network, degrees), dim=1) - wanted).norm(dim=1)

    before, after = distances(starts), distances(descend(network, wanted, starts, iterations=8))
    assert (after <= before + 1e-5).all() and after.mean() < before.mean()
    none = descend(network, wanted, starts, iterations=0)
    np.testing.assert_allclose(none.numpy(), starts.numpy(), atol=1e-9)


def test_the_encoder_gets_no_gradients_and_queries_do_not_depend_on_each_other():
    network, truth = encoder(), np.random.default_rng(3).uniform(-60, 60, (5, 2))
    wanted, starts = encode(network, torch.tensor(truth)), beside(truth, 30.0)
    together = descend(network, wanted, starts)
    alone = torch.cat([descend(network, wanted[row : row + 1], starts[row : row + 1]) for row in range(5)])
    assert haversine_km(*together.numpy().T, *alone.numpy().T).max() < 0.1
    assert all(parameter.grad is None for parameter in network.parameters())
