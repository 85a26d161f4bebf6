import numpy as np
import pytest
import torch

from commons.sphere_tensors import to_degrees, unit_vectors
from model.location.decoder import LocationDecoder


def decoder(degrees: np.ndarray) -> LocationDecoder:
    torch.manual_seed(0)
    made = LocationDecoder(16, (32, 8))
    made.set_region(unit_vectors(torch.tensor(degrees)))
    return made.eval()


@pytest.mark.parametrize("middle", [(45.0, 7.0), (0.0, 180.0), (90.0, 0.0), (-60.0, -179.5)])
def test_answers_are_unit_vectors_and_start_within_the_region(middle: tuple[float, float]):
    """Whatever the network says at first, it lies at most a few spreads from the middle."""
    draw = np.random.default_rng(0)
    vectors = unit_vectors(torch.tensor([middle]))[0].numpy() + 0.01 * draw.normal(size=(500, 3))
    network = decoder(to_degrees(torch.tensor(vectors)).numpy())
    assert float(network.reach) == pytest.approx(0.01, rel=0.1)
    assert torch.allclose(network.frame @ network.frame.T, torch.eye(3), atol=1e-6)
    found = network(torch.randn(200, 16, generator=torch.Generator().manual_seed(1)))
    assert found.norm(dim=1).detach().numpy() == pytest.approx(1, abs=1e-6)
    assert (found.detach().numpy() - vectors.mean(axis=0)).max() < 0.1


def test_only_the_direction_of_embeddings_counts():
    network = decoder(np.array([[10.0, 20.0], [11.0, 22.0]]))
    embeddings = torch.randn(20, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        np.testing.assert_allclose(network(50 * embeddings), network(embeddings), atol=1e-6)


def test_bf16_layers_round_the_answer_little():
    network = decoder(np.array([[10.0, 20.0], [11.0, 22.0]]))
    embeddings = torch.randn(20, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        exact = network(embeddings)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(embeddings)
    assert rounded.dtype == torch.float32 and 0 < (rounded - exact).abs().max() < 0.02 * float(network.reach)
