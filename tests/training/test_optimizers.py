import pytest
import timm.optim
import torch
from torch import nn

from commons.errors import ArgumentError
from model.network import GeoLocalizationNet
from model.two_towers import build_two_towers
from training.optimizers import (
    OPTIMIZERS,
    build_optimizer,
    check_optimizer,
    parameter_groups,
    read_optimizer_options,
)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "asgd", "lion", "lamb", "nadam", "adan", "muon"])
def test_optimizers_learn(name: str) -> None:
    torch.manual_seed(0)
    network = nn.Linear(4, 1)
    images, wanted = torch.randn(64, 4), torch.randn(64, 1)
    optimizer = build_optimizer(network, name, lr=0.01)
    losses = []
    for _ in range(100):
        loss = (network(images) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_every_name_builds() -> None:
    for name in OPTIMIZERS:
        check_optimizer(name, {})


def test_adam_is_pytorchs() -> None:
    layers = [nn.Linear(3, 2), nn.Linear(3, 2)]
    layers[1].load_state_dict(layers[0].state_dict())
    optimizers = [build_optimizer(layers[0], lr=0.1), torch.optim.Adam(layers[1].parameters(), lr=0.1)]
    for _ in range(3):
        for layer, optimizer in zip(layers, optimizers, strict=True):
            optimizer.zero_grad()
            layer(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(layers[0].weight, layers[1].weight, rtol=1e-6, atol=1e-6)


def test_one_group_without_decays() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    (group,) = parameter_groups(network, 0.1)
    assert [id(p) for p in group["params"]] == [id(p) for p in network.parameters()]


def test_weight_decay_is_not_applied_to_norms_and_biases() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    groups = parameter_groups(network, 0.1, weight_decay=0.01)
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert [decays[id(p)] for p in network.parameters()] == [0.01, 0, 0, 0, 0.01, 0]


def test_layer_decay_by_hand() -> None:
    network = GeoLocalizationNet("ResNet18", 8, train_all_layers=True)
    groups = parameter_groups(network, 1.0, layer_decay=0.5)
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    blocks = list(network.backbone.blocks().values())
    assert [rates[id(block[0])] for block in blocks] == [0.5 ** (len(blocks) - i) for i in range(len(blocks))]
    assert rates[id(network.aggregation.fc.weight)] == 1.0
    assert len(rates) == len(list(network.parameters()))


def test_layer_decay_counts_in_each_of_several_backbones() -> None:
    towers = build_two_towers("ResNet18", 8, "gem")
    groups = parameter_groups(towers, 1.0, layer_decay=0.5)
    rates = {id(own): group["lr"] for group in groups for own in group["params"]}
    for tower in (towers.street, towers.aerial):
        blocks = list(tower.backbone.blocks().values())
        found = [rates[id(block[0])] for block in blocks]
        assert found == [0.5 ** (len(blocks) - number) for number in range(len(blocks))]
        assert rates[id(next(tower.aggregation.parameters()))] == 1


def test_frozen_parameters_are_left_out() -> None:
    network = nn.Linear(2, 2)
    network.bias.requires_grad = False
    assert [p.shape for group in parameter_groups(network, 0.1) for p in group["params"]] == [(2, 2)]


def test_options() -> None:
    options = read_optimizer_options({"momentum": "0.9", "nesterov": "true"})
    assert options == {"momentum": 0.9, "nesterov": True}
    assert build_optimizer(nn.Linear(2, 2), "sgd", options=options).defaults["nesterov"] is True
    assert read_optimizer_options({"betas": "0.9:0.95"}) == {"betas": (0.9, 0.95)}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adma", {}, "did you mean adam"),
        ("sgd", {"momentun": 0.9}, "no option momentun .did you mean momentum"),
        ("sgd", {"nesterov": True}, "Nesterov"),
        ("sgd", {"lr": 0.9}, "no option lr;"),
        ("lamb", {"betas": 0.9}, "`optimizer_options`: `optimizer` lamb .*non-iterable"),
    ],
)
def test_mistakes(name: str, options: dict, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        check_optimizer(name, options)


def test_options_that_are_no_values() -> None:
    with pytest.raises(ArgumentError, match="momentum=high is not a number"):
        read_optimizer_options({"momentum": "high"})


def test_weight_decay_is_not_applied_to_tokens_positions_and_scales_of_transformers() -> None:
    network = nn.Module()
    network.cls_token, network.scale = nn.Parameter(torch.zeros(1, 1, 4)), nn.Parameter(torch.zeros(4, 1, 1))
    network.pos_embed, network.weight = nn.Parameter(torch.zeros(1, 5, 4)), nn.Parameter(torch.zeros(4, 4))
    groups = parameter_groups(network, 0.1, weight_decay=0.01)
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert [decays[id(p)] for p in network.parameters()] == [0, 0, 0, 0.01]


@pytest.mark.slow
def test_krons_noise_is_the_same_in_every_process() -> None:
    """Each process has a generator of its own, and takes its steps without asking the others."""
    weights = []
    for process in range(2):
        torch.manual_seed(process)
        layer = nn.Linear(4, 3)
        nn.init.constant_(layer.weight, 0.5)
        nn.init.zeros_(layer.bias)
        optimizer = build_optimizer(layer, "kron", lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            layer(torch.arange(8.0).view(2, 4)).square().mean().backward()
            optimizer.step()
        weights.append(layer.weight.detach())
    assert torch.equal(*weights)


@pytest.mark.parametrize("backbone", ["timm:test_vit", "timm:resnet10t"])
def test_layer_decay_is_timms_where_its_layers_are_our_blocks(backbone: str) -> None:
    """timm gives the last block the whole rate; here the aggregation has it, and the last block the next one."""
    network = GeoLocalizationNet(backbone, 8, train_all_layers=True)
    groups = parameter_groups(network, 1.0, weight_decay=0.1, layer_decay=0.5)
    own = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    model = network.backbone.model
    names = getattr(model, "no_weight_decay", set)()
    theirs = timm.optim.param_groups_layer_decay(model, 0.1, no_weight_decay_list=names, layer_decay=0.5)
    expected = {id(p): (0.5 * group["lr_scale"], group["weight_decay"]) for group in theirs for p in group["params"]}
    assert {key: own[key] for key in expected} == expected
    assert len(expected) == len(list(model.parameters()))


@pytest.mark.parametrize("backbone", ["ResNet18", "timm:test_vit", "timm:convnext_atto"])
def test_weight_decay_is_applied_where_timm_applies_it(backbone: str) -> None:
    network = GeoLocalizationNet(backbone, 8, train_all_layers=True)
    groups = parameter_groups(network, 1.0, weight_decay=0.1)
    own = {id(p) for group in groups for p in group["params"] if group["weight_decay"]}
    without = [f"backbone.model.{name}" for name in ("cls_token", "pos_embed")]
    theirs = timm.optim.param_groups_weight_decay(network, 0.1, no_weight_decay_list=without)
    assert own == {id(p) for group in theirs for p in group["params"] if group["weight_decay"]}
