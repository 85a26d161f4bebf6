"""The published layout of CosPlace is that of the reference implementation; test_network.py compares the numbers."""

import pytest
import torch
import torchvision

from model.published import PUBLISHED
from tests.model.published.layouts import assert_fits


@pytest.mark.parametrize("name", ["cosplace-resnet50-2048", "cosplace-vgg16-64", "eigenplaces-resnet101-128"])
def test_layout(name: str):
    _, backbone, size = name.split("-")
    with torch.device("meta"):
        whole = getattr(torchvision.models, backbone)()
    layers = list(whole.features)[:-2] if backbone == "vgg16" else list(whole.children())[:-2]
    shapes = {
        f"backbone.{number}.{key}": value.shape
        for number, layer in enumerate(layers)
        for key, value in layer.state_dict().items()
    }
    channels = 512 if backbone == "vgg16" else 2048
    linear = {"aggregation.3.weight": (int(size), channels), "aggregation.3.bias": (int(size),)}
    assert_fits(name, shapes | {"aggregation.1.p": (1,)} | linear)


def test_addresses():
    assert len([name for name in PUBLISHED if name.startswith("cosplace-")]) == 4 + 5 + 3 * 7
    address = "https://github.com/gmberton/CosPlace/releases/download/v1.0/VGG16_512_cosplace.pth"
    assert PUBLISHED["cosplace-vgg16-512"].address == address
