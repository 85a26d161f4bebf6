from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from commons.errors import ArgumentError
from model.export import export_network
from model.exported import open_network
from model.formats import FORMATS
from model.two_towers import AerialTower, TwoTowers, build_two_towers

SMALL = {"backbone": "timm:test_resnet", "fc_output_dim": 16}
SOFTMAX = SMALL | {"aggregation": "spatial_softmax", "aggregation_options": {"heads": 4}}


def make(**options: object) -> TwoTowers:
    torch.manual_seed(0)
    return build_two_towers(**(SOFTMAX | options)).eval()


def pyramid(batch: int = 2, levels: int = 4, side: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (batch, levels, 3, side, side), dtype=torch.uint8)


def test_one_softmax_over_the_positions_of_all_levels():
    network, images = make(), pyramid()
    with torch.no_grad():
        maps = [network.aerial.features(images[:, level]) for level in range(4)]
        positions = torch.cat([one.flatten(2) for one in maps], dim=2)[..., None]
        wanted = network.aerial.aggregation(positions)
        assert torch.allclose(network(images), wanted, atol=1e-5)
        # Every level counts, and their order does not.
        assert torch.allclose(network(images.flip(1)), wanted, atol=1e-5)
        assert not torch.allclose(network(torch.cat([images[:, :3], images[:, :1]], 1)), wanted, atol=1e-3)


@pytest.mark.parametrize("aggregation", ["gem", "netvlad", "convap"])
def test_other_aggregations_work_level_by_level(aggregation: str):
    options = {"convap": {"out_channels": 4, "s1": 2, "s2": 2}}.get(aggregation, {})
    dimension = 0 if aggregation == "convap" else 16
    network = make(aggregation=aggregation, aggregation_options=options, fc_output_dim=dimension)
    images = pyramid()
    with torch.no_grad():
        levels = torch.stack([network.aerial(images[:, level]) for level in range(4)])
        assert torch.allclose(network(images), F.normalize(levels.mean(0), dim=1), atol=1e-5)
        network.mix.weight.normal_()
        found = network(images)
        assert not torch.allclose(found, network(images.flip(1)), atol=1e-3)
    assert found.shape == (2, 16) and torch.allclose(found.norm(dim=1), torch.ones(2), atol=1e-5)


def test_a_class_token_is_pooled_level_by_level():
    network = make(backbone="timm:test_vit", aggregation="cls", aggregation_options={})
    assert network(pyramid(side=160)).shape == network(pyramid(side=160)[:, 0]).shape == (2, 16)


@pytest.mark.parametrize("shared", [False, True])
def test_shared_and_separate_encoders(shared: bool):
    network = make(shared_encoder=shared).train()
    street, aerial = network(pyramid()[:, 0]), network(pyramid())
    (street @ aerial.T).square().sum().backward()
    assert (network.street.backbone is network.aerial.backbone) == shared
    assert network.street.aggregation is not network.aerial.aggregation
    count = sum(p.numel() for p in network.parameters())
    own = sum(p.numel() for p in network.street.parameters())
    encoder = sum(p.numel() for p in network.street.backbone.parameters())
    assert count == 2 * own - shared * encoder
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_state_dicts_build_the_same_network_again():
    network, again = make(shared_encoder=True), make(shared_encoder=True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        again.load_state_dict(network.state_dict())
        images = pyramid()
        assert torch.equal(network(images), again(images)) and torch.equal(network(images[:, 1]), again(images[:, 1]))


def test_one_level_needs_no_mixing():
    network = make(aggregation="gem", aggregation_options={}, levels=1)
    images = pyramid(levels=1)
    with torch.no_grad():
        assert not hasattr(network, "mix") and torch.equal(network(images), network.aerial(images[:, 0]))


def test_wrong_arguments():
    with pytest.raises(ArgumentError, match="aerial_backbone.*cannot share weights"):
        make(aerial_backbone="ResNet18", shared_encoder=True)
    with pytest.raises(ArgumentError, match="levels.*built for 4 aerial images a place, not 2"):
        make()(pyramid(levels=2))
    with pytest.raises(ArgumentError, match="fc_output_dim.*16 dimensions and aerial images 12"):
        TwoTowers(make().street, make(fc_output_dim=12).aerial)
    with pytest.raises(ArgumentError, match="levels.*0 must be 1 or more"):
        make(levels=0)


@pytest.mark.parametrize("shared", [False, True])
def test_training_gets_both_descriptors_at_once(shared: bool):
    network, pyramids = make(shared_encoder=shared), pyramid()
    photos = torch.randint(0, 256, (2, 3, 48, 64), dtype=torch.uint8)
    with torch.no_grad():
        both = network(photos, pyramids)
        assert both.shape == (2, 2, 16)
        assert torch.equal(both[:, 0], network(photos)) and torch.equal(both[:, 1], network(pyramids))
    assert len(network.backbones) == (1 if shared else 2)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "torchscript"])
@pytest.mark.parametrize("options", [{}, {"aggregation": "gem", "aggregation_options": {}}], ids=["softmax", "gem"])
def test_the_aerial_tower_is_exported_alone(form: str, options: dict, tmp_path: Path):
    tower, path = AerialTower(make(**options)), tmp_path / f"x{FORMATS[form]}"
    settings = {"backbone": "timm:test_resnet", "image_size": [48, 64]}
    assert export_network(tower, settings, form, path) <= 1e-4
    exported, _ = open_network(path)
    with torch.inference_mode():
        for batch, side in ((1, 64), (3, 96)):
            images = pyramid(batch, side=side)
            assert torch.allclose(exported(images), tower(images), atol=1e-4)
