from pathlib import Path

import pytest
import torch

from model.published import PUBLISHED
from tests.model.published.layouts import assert_describes, assert_fits, load, random_state, resnet_map, resnet_shapes


def layout(channels: int, name: str = "resnet50") -> dict[str, tuple[int, ...]]:
    shapes = resnet_shapes("backbone.model.", "conv1 bn1 layer1 layer2 layer3 layer4", name)
    pool = {
        "aggregator.channel_pool.weight": (channels, 2048 if name == "resnet50" else 512, 1, 1),
        "aggregator.channel_pool.bias": (channels,),
    }
    return shapes | pool


@pytest.mark.parametrize("size", [8192, 4096, 2048, 512])
def test_layout(size: int):
    assert_fits(f"convap-resnet50-{size}", layout(size // 4))
    assert PUBLISHED[f"convap-resnet50-{size}"].file == f"resnet50_ConvAP_{size // 4}_2x2.ckpt"


def test_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    state = random_state(layout(128, "resnet18"))
    images = torch.rand(2, 3, 128, 128)
    with torch.inference_mode():
        x = resnet_map(state, "backbone.model.", images)
        assert x.shape == (2, 512, 4, 4)
        quarters = x.unflatten(3, (2, 2)).unflatten(2, (2, 2)).mean(dim=(3, 5))
        weight, bias = state["aggregator.channel_pool.weight"][:, :, 0, 0], state["aggregator.channel_pool.bias"]
        x = (torch.einsum("oc,bchw->bohw", weight, quarters) + bias[:, None, None]).flatten(1)
    network = load("convap-resnet50-512", state, tmp_path, monkeypatch, backbone="ResNet18")
    assert_describes(network, images, x / x.norm(dim=1, keepdim=True))
