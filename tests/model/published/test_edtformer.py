from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from tests.model.published.layouts import (
    DEPTH,
    WIDTH,
    PlainDINOv2,
    Shapes,
    State,
    assert_describes,
    assert_fits,
    attention_shapes,
    dinov2_shapes,
    load,
    multi_head,
    random_state,
    released,
    with_biases,
)


def layout(width: int = 768, depth: int = 12, proj: int = 256) -> Shapes:
    shapes = dinov2_shapes("backbone.", width, depth)
    weights = {}
    for block in range(depth):
        name = f"backbone.adapters.{block}"
        weights |= {f"{name}.D_fc1.weight": (4, width), f"{name}.D_fc2.weight": (width, 4)}
    weights |= {"fc.weight": (width, width), "channel_proj.weight": (proj, width), "row_proj.weight": (16, 64)}
    for layer in ("decoder.layers.0", "decoder.layers.1"):
        shapes |= attention_shapes(f"{layer}.self_attn", width) | attention_shapes(f"{layer}.multihead_attn", width)
        weights |= {f"{layer}.norm1.weight": (width,), f"{layer}.norm2.weight": (width,)}
    return shapes | with_biases(weights) | {"queries": (1, 64, width)}


def vectors(state: State, images: torch.Tensor) -> torch.Tensor:
    """Adapters beside the blocks, then queries that attend to themselves and to all tokens."""
    plain = PlainDINOv2(state, "backbone.")
    x = y = plain.embedded(images)
    for block in range(plain.depth):
        x = plain.block(block, x)
        z = x + y
        y = z + plain.linear(f"adapters.{block}.D_fc2", F.gelu(plain.linear(f"adapters.{block}.D_fc1", z))) / 2
    tokens = plain.layer_norm("norm", y) @ state["fc.weight"].T + state["fc.bias"]
    queries = state["queries"].expand(len(images), -1, -1)
    for layer in ("decoder.layers.0", "decoder.layers.1"):
        for number, (name, asked) in enumerate((("self_attn", None), ("multihead_attn", tokens)), 1):
            found = multi_head(state, f"{layer}.{name}", queries, queries if asked is None else asked, heads=16)
            norm = state[f"{layer}.norm{number}.weight"], state[f"{layer}.norm{number}.bias"]
            queries = F.layer_norm(queries + found, queries.shape[-1:], *norm)
    channels = queries @ state["channel_proj.weight"].T + state["channel_proj.bias"]
    rows = channels.mT @ state["row_proj.weight"].T + state["row_proj.bias"]
    return rows.flatten(1) / rows.flatten(1).norm(dim=1, keepdim=True)


def test_layout():
    assert_fits("edtformer-dinov2-4096", layout())
    assert_fits("edtformer-dinov2-4096", {f"module.{name}": shape for name, shape in layout().items()})


@pytest.mark.usefixtures("small_dinov2")
def test_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    state = random_state(layout(WIDTH, DEPTH, proj=8))
    images = torch.rand(2, 3, 112, 84)
    options = {"queries": 64, "layers": 2, "proj_channels": 8, "row_dim": 16}
    network = load(
        "edtformer-dinov2-4096", released(state), tmp_path, monkeypatch, aggregation_options=options, fc_output_dim=128
    )
    assert_describes(network, images, vectors(state, images))
