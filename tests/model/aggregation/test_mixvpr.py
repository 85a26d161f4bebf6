import pytest
import torch
from torch.nn import functional as F

from commons.errors import ArgumentError
from model.aggregation.mixvpr import MixVPR


def small() -> MixVPR:
    torch.manual_seed(0)
    return MixVPR(6, out_channels=5, out_rows=2, mix_depth=2, mlp_ratio=0.5, grid=4)


def test_against_the_formula():
    """Every channel's 16 positions pass both perceptrons; then channels and positions are projected."""
    aggregation = small()
    state = {key: torch.randn_like(value) for key, value in aggregation.state_dict().items()}
    aggregation.load_state_dict(state)
    x = torch.randn(3, 6, 4, 4)
    rows = x.reshape(3, 6, 16)
    for block in range(2):
        scale, shift, first, b1, second, b2 = (
            state[f"mix.{block}.mix.{layer}.{kind}"] for layer in (0, 1, 3) for kind in ("weight", "bias")
        )
        deviation = (rows.var(dim=-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
        normal = (rows - rows.mean(dim=-1, keepdim=True)) / deviation * scale + shift
        rows = rows + (normal @ first.T + b1).clamp(min=0) @ second.T + b2
    channels = state["channel_proj.weight"] @ rows + state["channel_proj.bias"].view(5, 1)
    expected = (channels @ state["row_proj.weight"].T + state["row_proj.bias"]).reshape(3, 10)
    assert torch.allclose(aggregation(x), expected / expected.norm(dim=1, keepdim=True), atol=1e-5)


def test_other_maps_are_resampled_and_its_own_is_not(monkeypatch: pytest.MonkeyPatch):
    aggregation = small()
    ramp = torch.linspace(0, 1, 8).view(1, 1, 1, 8).expand(1, 6, 8, 8)
    means = torch.linspace(0, 1, 8).view(4, 2).mean(1).view(1, 1, 1, 4).expand(1, 6, 4, 4)
    inner = F.interpolate(ramp, size=(4, 4), mode="bilinear", antialias=True)
    assert torch.allclose(inner[..., 1:3], means[..., 1:3], atol=1e-6)  # a straight line stays one
    assert torch.equal(aggregation(ramp), aggregation(inner))
    assert aggregation(torch.rand(2, 6, 3, 7)).shape == (2, 10)
    monkeypatch.setattr(F, "interpolate", None)
    assert aggregation(inner).shape == (1, 10)


def test_dimension():
    assert MixVPR(6, 4096).descriptor_dim == 4096
    with pytest.raises(ArgumentError, match=r"out_channels 1024 x out_rows 4 = 4096 .* set out_channels=128 "):
        MixVPR(6, 512)
    with pytest.raises(ArgumentError, match="set other `aggregation_options`"):
        MixVPR(6, 511)
