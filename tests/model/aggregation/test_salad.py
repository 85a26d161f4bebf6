import pytest
import torch

from commons.errors import ArgumentError
from model.aggregation.salad import SALAD, optimal_transport


def plain_sinkhorn(scores: torch.Tensor, dust_bin: float, steps: int) -> torch.Tensor:
    """Rows and columns of the powers scaled in turn, for one image."""
    clusters, positions = scores.shape
    plan = torch.cat([scores, torch.full((1, positions), dust_bin)]).double().exp()
    masses = torch.tensor([1.0] * clusters + [positions - clusters], dtype=torch.float64)
    for _ in range(steps):
        plan = plan * (masses / plan.sum(1))[:, None]
        plan = plan / plan.sum(0)
    return plan[:-1].float()


def test_transport_against_plain_scaling():
    torch.manual_seed(0)
    scores = torch.randn(2, 4, 9) * 3
    found = optimal_transport(scores, torch.tensor(0.7))
    for image in range(2):
        assert torch.allclose(found[image], plain_sinkhorn(scores[image], 0.7, 3), atol=1e-5)


def test_masses():
    """Converged, each cluster has received mass 1. With equal scores one of two positions' mass goes to each side."""
    found = optimal_transport(torch.randn(1, 4, 9), torch.tensor(1.0), steps=200)
    assert torch.allclose(found.sum(2), torch.ones(1, 4), atol=1e-4)
    assert torch.allclose(optimal_transport(torch.zeros(1, 1, 2), torch.tensor(0.0)), torch.full((1, 1, 2), 0.5))


def test_descriptor_against_its_parts():
    torch.manual_seed(0)
    aggregation = SALAD(6, clusters=3, cluster_dim=4, token_dim=5).eval()
    tokens = torch.randn(2, 6, 1 + 8)
    perceptrons = {name: getattr(aggregation, name) for name in ("token_features", "cluster_features", "score")}

    def mlp(name: str, x: torch.Tensor) -> torch.Tensor:
        first, last = perceptrons[name][0], perceptrons[name][-1]
        hidden = (first.weight.flatten(1) @ x + first.bias[:, None]).clamp(min=0)
        return last.weight.flatten(1) @ hidden + last.bias[:, None]

    for image, descriptor in zip(tokens, aggregation(tokens), strict=True):
        plan = plain_sinkhorn(mlp("score", image[:, 1:]), 1.0, 3)
        vectors = mlp("cluster_features", image[:, 1:]) @ plan.T
        token = mlp("token_features", image[:, :1])[:, 0]
        parts = [token / token.norm(), (vectors / vectors.norm(dim=0)).flatten()]
        assert torch.allclose(descriptor, torch.cat(parts) / 2, atol=1e-5)  # four unit vectors: length 2


def test_too_few_positions_and_another_dimension():
    with pytest.raises(ArgumentError, match="an image has 8 local features, too few for 8 clusters"):
        SALAD(6, clusters=8)(torch.rand(1, 6, 9))
    assert SALAD(6, 8448).descriptor_dim == 8448
    with pytest.raises(ArgumentError, match="dropout=30 must be at most 1"):
        SALAD(6, dropout=30)
    with pytest.raises(ArgumentError, match=r"256 \+ clusters 64 x cluster_dim 128 = 8448 .* set cluster_dim=4 "):
        SALAD(6, 512)
