from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from model.published import PUBLISHED
from tests.model.published.layouts import assert_describes, assert_fits, load, random_state, resnet_map, resnet_shapes


def layout(channels: int, rows: int, name: str = "resnet50") -> dict[str, tuple[int, ...]]:
    shapes = resnet_shapes("backbone.model.", "conv1 bn1 layer1 layer2 layer3", name)
    for block in range(4):
        for layer, size in ((0, (400,)), (1, (400, 400)), (3, (400, 400))):
            shapes[f"aggregator.mix.{block}.mix.{layer}.weight"] = size
            shapes[f"aggregator.mix.{block}.mix.{layer}.bias"] = (400,)
    projections = {"channel_proj": (channels, 1024 if name == "resnet50" else 256), "row_proj": (rows, 400)}
    for layer, size in projections.items():
        shapes |= {f"aggregator.{layer}.weight": size, f"aggregator.{layer}.bias": size[:1]}
    return shapes


@pytest.mark.parametrize(("size", "channels", "rows"), [(4096, 1024, 4), (512, 256, 2), (128, 64, 2)])
def test_layout(size: int, channels: int, rows: int):
    assert_fits(f"mixvpr-resnet50-{size}", layout(channels, rows))
    assert f"channels({channels})_rows({rows})" in PUBLISHED[f"mixvpr-resnet50-{size}"].file


def test_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    state = random_state(layout(64, 2, "resnet18"))
    images = torch.rand(2, 3, 320, 320)
    head = {name.removeprefix("aggregator."): value for name, value in state.items()}

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ head[f"{name}.weight"].T + head[f"{name}.bias"]

    with torch.inference_mode():
        x = resnet_map(state, "backbone.model.", images).flatten(2)
        assert x.shape == (2, 256, 400)
        for block in range(4):
            name = f"mix.{block}.mix"
            normed = F.layer_norm(x, (400,), head[f"{name}.0.weight"], head[f"{name}.0.bias"])
            x = x + linear(f"{name}.3", linear(f"{name}.1", normed).clamp(min=0))
        x = linear("row_proj", linear("channel_proj", x.transpose(1, 2)).transpose(1, 2)).flatten(1)
    network = load("mixvpr-resnet50-128", state, tmp_path, monkeypatch, backbone="ResNet18")
    assert_describes(network, images, x / x.norm(dim=1, keepdim=True))
