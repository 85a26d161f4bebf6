from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from tests.model.published.layouts import (
    DEPTH,
    WIDTH,
    Shapes,
    State,
    assert_describes,
    assert_fits,
    dinov2_shapes,
    dinov2_tokens,
    load,
    random_state,
    resnet_map,
    resnet_shapes,
)

OPTIONS = {"proj_channels": 64, "queries": 64, "layers": 2, "row_dim": 32}
CHILDREN = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6}


def head_layout(width: int, channels: int) -> Shapes:
    shapes = {"proj_c.weight": (channels, width, 3, 3), "norm_input.weight": (channels,), "fc.weight": (32, 128)}
    for block in range(2):
        layers = {
            "encoder.linear1": (4 * channels, channels),
            "encoder.linear2": (channels, 4 * channels),
            **{name: (channels,) for name in ("encoder.norm1", "encoder.norm2", "norm_q", "norm_out")},
            **{f"{name}.out_proj": (channels, channels) for name in ("encoder.self_attn", "self_attn", "cross_attn")},
        }
        shapes |= {f"boqs.{block}.{name}.weight": shape for name, shape in layers.items()}
        shapes[f"boqs.{block}.queries"] = (1, 64, channels)
        for name in ("encoder.self_attn", "self_attn", "cross_attn"):
            shapes[f"boqs.{block}.{name}.in_proj_weight"] = (3 * channels, channels)
            shapes[f"boqs.{block}.{name}.in_proj_bias"] = (3 * channels,)
    shapes |= {name.replace("weight", "bias"): shape[:1] for name, shape in shapes.items() if name.endswith(".weight")}
    return {f"aggregator.{name}": shape for name, shape in shapes.items()}


def resnet_layout(name: str) -> Shapes:
    """Numbered as the children of a sequence at backbone.net."""
    shapes = resnet_shapes("", " ".join(CHILDREN), name)
    parts = {name: name.partition(".") for name in shapes}
    return {f"backbone.net.{CHILDREN[first]}.{rest}": shapes[name] for name, (first, _, rest) in parts.items()}


def boq_vectors(state: State, x: torch.Tensor) -> torch.Tensor:
    """BoQ's descriptors of (b, width, h, w), from its paper's formulas."""
    own = {name.removeprefix("aggregator."): value for name, value in state.items()}

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ own[f"{name}.weight"].T + own[f"{name}.bias"]

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], own[f"{name}.weight"], own[f"{name}.bias"])

    def attention(name: str, asking: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        weights, biases = own[f"{name}.in_proj_weight"].chunk(3), own[f"{name}.in_proj_bias"].chunk(3)
        inputs = (asking, asked, asked)
        q, k, v = (
            (x @ weight.T + bias).unflatten(-1, (-1, 64)).transpose(1, 2)
            for x, weight, bias in zip(inputs, weights, biases, strict=True)
        )
        mixed = (q @ k.transpose(-2, -1) / 8).softmax(-1) @ v
        return linear(f"{name}.out_proj", mixed.transpose(1, 2).flatten(2))

    x = F.conv2d(x, own["proj_c.weight"], own["proj_c.bias"], padding=1).flatten(2).transpose(1, 2)
    x = norm("norm_input", x)
    answers = []
    for name in ("boqs.0", "boqs.1"):
        x = norm(f"{name}.encoder.norm1", x + attention(f"{name}.encoder.self_attn", x, x))
        hidden = linear(f"{name}.encoder.linear1", x).clamp(min=0)
        x = norm(f"{name}.encoder.norm2", x + linear(f"{name}.encoder.linear2", hidden))
        queries = own[f"{name}.queries"].expand(len(x), -1, -1)
        queries = norm(f"{name}.norm_q", queries + attention(f"{name}.self_attn", queries, queries))
        answers.append(norm(f"{name}.norm_out", attention(f"{name}.cross_attn", queries, x)))
    x = linear("fc", torch.cat(answers, dim=1).transpose(1, 2)).flatten(1)
    return x / x.norm(dim=1, keepdim=True)


def test_layouts():
    assert_fits("boq-resnet50-16384", resnet_layout("resnet50") | head_layout(1024, 512))
    assert_fits("boq-dinov2-12288", dinov2_shapes("backbone.dino.") | head_layout(768, 384))


def test_descriptors_with_a_resnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    state = random_state(resnet_layout("resnet18") | head_layout(256, 64))
    images = torch.rand(2, 3, 96, 80)
    names = {number: child for child, number in CHILDREN.items()}
    own = {}
    for name, value in state.items():
        if name.startswith("backbone.net."):
            number, _, rest = name.removeprefix("backbone.net.").partition(".")
            own[f"{names[int(number)]}.{rest}"] = value
    with torch.inference_mode():
        expected = boq_vectors(state, resnet_map(own, "", images))
    changes = {"backbone": "ResNet18", "aggregation_options": OPTIONS, "fc_output_dim": 32 * 64}
    assert_describes(load("boq-resnet50-16384", state, tmp_path, monkeypatch, **changes), images, expected)


@pytest.mark.usefixtures("small_dinov2")
def test_descriptors_with_dinov2_leave_out_its_last_normalisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    state = random_state(dinov2_shapes("backbone.dino.", WIDTH, DEPTH) | head_layout(WIDTH, 64))
    images = torch.rand(2, 3, 112, 84)
    tokens = dinov2_tokens(state, "backbone.dino.", images, norm=False)[:, 1:]
    expected = boq_vectors(state, tokens.transpose(1, 2).unflatten(2, (8, 6)))
    changes = {"cut_after": f"blocks.{DEPTH - 1}", "aggregation_options": OPTIONS, "fc_output_dim": 32 * 64}
    assert_describes(load("boq-dinov2-12288", state, tmp_path, monkeypatch, **changes), images, expected)
