import pytest
import torch
from torch.nn import functional as F

from commons.errors import ArgumentError
from model.aggregation.boq import BoQ


def norm(x: torch.Tensor, state: dict, name: str) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


def attention(queries: torch.Tensor, x: torch.Tensor, state: dict, name: str) -> torch.Tensor:
    """Scaled dot products in heads of 64 channels, written out for one image."""
    weight, bias = state[f"{name}.in_proj_weight"].chunk(3), state[f"{name}.in_proj_bias"].chunk(3)
    q, k, v = (inputs @ w.T + b for inputs, w, b in zip((queries, x, x), weight, bias, strict=True))
    heads = []
    for start in range(0, q.shape[1], 64):
        part = slice(start, start + 64)
        heads.append((q[:, part] @ k[:, part].T / 8).softmax(dim=1) @ v[:, part])
    return torch.cat(heads, dim=1) @ state[f"{name}.out_proj.weight"].T + state[f"{name}.out_proj.bias"]


def test_against_the_formula():
    torch.manual_seed(0)
    aggregation = BoQ(5, proj_channels=128, queries=3, layers=2, row_dim=2).eval()
    for parameter in aggregation.parameters():
        parameter.data = torch.randn_like(parameter) * 0.2
    state = aggregation.state_dict()
    maps = torch.randn(2, 5, 3, 4)
    for image, descriptor in zip(maps, aggregation(maps).detach(), strict=True):
        projected = F.conv2d(image[None], state["proj_c.weight"], state["proj_c.bias"], padding=1)[0]
        x = norm(projected.flatten(1).T, state, "norm_input")
        answers = []
        for layer in ("boqs.0", "boqs.1"):
            x = norm(x + attention(x, x, state, f"{layer}.encoder.self_attn"), state, f"{layer}.encoder.norm1")
            hidden = F.relu(x @ state[f"{layer}.encoder.linear1.weight"].T + state[f"{layer}.encoder.linear1.bias"])
            hidden = hidden @ state[f"{layer}.encoder.linear2.weight"].T + state[f"{layer}.encoder.linear2.bias"]
            x = norm(x + hidden, state, f"{layer}.encoder.norm2")
            queries = state[f"{layer}.queries"][0]
            queries = norm(queries + attention(queries, queries, state, f"{layer}.self_attn"), state, f"{layer}.norm_q")
            answers.append(norm(attention(queries, x, state, f"{layer}.cross_attn"), state, f"{layer}.norm_out"))
        rows = torch.cat(answers).T @ state["fc.weight"].T + state["fc.bias"]
        assert torch.allclose(descriptor, rows.flatten() / rows.norm(), atol=1e-5)


def test_dimension_and_heads():
    assert BoQ(5, 16384).descriptor_dim == 16384
    with pytest.raises(ArgumentError, match=r"512 x row_dim 32 = 16384 .* set row_dim=2 "):
        BoQ(5, 1024)
    with pytest.raises(ArgumentError, match="proj_channels=100 is not a multiple of 64"):
        BoQ(5, proj_channels=100)
