"""EigenPlaces has the networks of CosPlace; test_cosplace.py checks the layout of both."""

import torch

from model.network import GeoLocalizationNet
from model.published import PUBLISHED
from tests.model.published.layouts import assert_fits


def test_addresses():
    names = [name for name in PUBLISHED if name.startswith("eigenplaces-resnet") or name.startswith("eigenplaces-vgg")]
    assert len(names) == 1 + 2 + 2 * 4
    address = "https://github.com/gmberton/EigenPlaces/releases/download/v1.0/ResNet18_256_eigenplaces.pth"
    assert PUBLISHED["eigenplaces-resnet18-256"].address == address


def test_the_indoor_network_is_the_same_inside_a_wrapper():
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in GeoLocalizationNet("ResNet50", 2048).state_dict().items()}
    assert_fits("eigenplaces-indoor-resnet50-2048", {f"model.{key}": shape for key, shape in shapes.items()})
