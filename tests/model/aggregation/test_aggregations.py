"""Every aggregation on a convolutional network and on a vision transformer."""

from functools import cache
from pathlib import Path

import pytest
import torch

from commons.checkpoints import save_checkpoint
from commons.errors import ArgumentError
from model import network as networks
from model.aggregation import AGGREGATIONS
from model.network import GeoLocalizationNet, check_network, fit_pca_layer
from model.pretrained import load_network

BACKBONES = ["MobileNet_V3_Small", "timm:vit_tiny_patch16_224"]
# Small options, and the dimension they give.
OPTIONS = {
    "netvlad": ({"clusters": 4}, 12),
    "convap": ({"out_channels": 3, "s1": 2, "s2": 1}, 6),
    "mixvpr": ({"out_channels": 5, "out_rows": 3, "mix_depth": 1, "grid": 3}, 15),
    "salad": ({"clusters": 3, "cluster_dim": 4, "token_dim": 5, "dropout": 0.1}, 17),
    "megaloc": ({"clusters": 3, "cluster_dim": 4, "token_dim": 5, "dropout": 0.1}, 12),
    "boq": ({"proj_channels": 64, "queries": 4, "layers": 2, "row_dim": 2}, 128),
    "vlad": ({"clusters": 4}, 12),
    "supervlad": ({"clusters": 3, "cross_image": True}, 12),
    "edtformer": ({"queries": 4, "proj_channels": 8, "row_dim": 3}, 24),
    "tokens": ({"tokens": 1}, 12),
    "spatial_softmax": ({"heads": 4}, 12),
}


# Building a backbone takes longer than all that the matrix tests.
one_of_each = cache(networks.build_backbone)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("name", AGGREGATIONS)
def test_matrix(backbone: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(networks, "build_backbone", one_of_each)
    options, dimension = OPTIONS.get(name, ({}, 12))
    wanted = 12 if dimension == 12 else 0
    if getattr(AGGREGATIONS[name], "needs_class_token", False) and backbone == BACKBONES[0]:
        words = f"`aggregation`: {name} needs a class token.* `backbone` {backbone} .*ViT_B_16"
        with pytest.raises(ArgumentError, match=words):
            GeoLocalizationNet(backbone, wanted, name, options)
        return
    torch.manual_seed(0)
    network = GeoLocalizationNet(backbone, wanted, name, options).train()
    assert network.descriptor_dim == dimension
    for size in ((64, 64), (96, 64)):
        network.zero_grad()
        descriptors = network(torch.rand(3, 3, *size))
        assert descriptors.shape == (3, dimension) and descriptors.dtype == torch.float32
        assert torch.allclose(descriptors.norm(dim=1), torch.ones(3), atol=1e-5)
        (descriptors * torch.rand(3, dimension)).sum().backward()
        for key, parameter in network.aggregation.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), key
    config = {"backbone": backbone, "fc_output_dim": wanted, "aggregation": name, "aggregation_options": options}
    save_checkpoint({"network": network.state_dict(), "config": config}, tmp_path / "model.pth")
    again, _ = load_network(tmp_path / "model.pth")
    images = torch.rand(2, 3, 64, 80)
    with torch.no_grad():
        assert torch.equal(again.eval()(images), network.eval()(images))


@pytest.mark.parametrize("name", [name for name, kind in AGGREGATIONS.items() if hasattr(kind, "pooling")])
def test_every_linear_head_can_start_as_a_pca(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(networks, "build_backbone", one_of_each)
    network = GeoLocalizationNet(BACKBONES[1], 4, name)
    images = torch.randint(0, 256, (8, 3, 48, 48), dtype=torch.uint8)
    assert 0 < fit_pca_layer(network, images.split(3)) < 1
    with torch.no_grad():
        outputs = network.aggregation.fc(network.aggregation.pooling(network.features(images)))
    assert torch.allclose(outputs.mean(0), torch.zeros(4), atol=1e-3)
    assert float(outputs.norm(dim=1).mean()) == pytest.approx(1, abs=1e-3)


def test_the_aggregation_runs_in_full_precision():
    network = GeoLocalizationNet(BACKBONES[0], 8).eval()
    seen = []
    network.aggregation.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].dtype))
    network.aggregation.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert network.features(torch.rand(1, 3, 64, 64)).dtype == torch.bfloat16
        network(torch.rand(1, 3, 64, 64))
    assert seen == [torch.float32] * 2


def test_default_dimensions():
    assert check_network(BACKBONES[0], None, "gem", {}, None) == 512
    assert check_network(BACKBONES[0], 0, "gem", {}, None) == 576
    assert check_network(BACKBONES[0], None, "mixvpr", {}, 64) == 4096


def test_a_network_that_its_images_do_not_fit_is_refused_before_any_is_read():
    with pytest.raises(ArgumentError, match="an image has 16 local features, too few for 64 clusters"):
        check_network(BACKBONES[1], None, "salad", {}, 64)
    assert check_network(BACKBONES[1], None, "salad", {}, 224) == 8448
