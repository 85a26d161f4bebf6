import logging
import re
import urllib.error
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from commons.checkpoints import save_checkpoint
from commons.errors import PlacewiseError
from model import pretrained
from model.backbones.building import build_backbone
from model.network import GeoLocalizationNet
from model.pretrained import load_network, load_pretrained

pytestmark = pytest.mark.slow


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_packaged_lite0_weights_fill_every_tensor():
    backbone = build_backbone("EfficientNet_Lite0")
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    assert "package" in load_pretrained(backbone, "EfficientNet_Lite0")
    after = backbone.state_dict()
    assert all(not torch.equal(before[key], after[key]) for key in after if "num_batches" not in key)
    # A convolution and the statistics after it belong together: ImageNet's are far from a fresh layer's 0 and 1.
    assert after["model.bn1.running_var"].std() > 0.01


def test_missing_package_names_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pretrained, "_lite_package", lambda name: "no_such_package")
    with pytest.raises(PlacewiseError, match="pip install no_such_package"):
        load_pretrained(build_backbone("EfficientNet_Lite0"), "EfficientNet_Lite0")


@pytest.mark.parametrize("name", ["MobileNet_V3_Small", "timm:resnet10t", "DINOv2_S"])
def test_failed_download_names_the_three_ways(name: str, monkeypatch: pytest.MonkeyPatch):
    def fail(*args: object, **options: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(pretrained, "_download", fail)
    with pytest.raises(PlacewiseError) as error:
        load_pretrained(build_backbone(name), name)
    assert all(way in str(error.value) for way in ("EfficientNet_Lite0", "`pretrained` PATH", "`pretrained` none"))
    assert ("vit_small_patch14_dinov2.lvd142m" in str(error.value)) == (name == "DINOv2_S")


def test_none_keeps_random_weights():
    backbone = build_backbone("MobileNet_V3_Small")
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    load_pretrained(backbone, "MobileNet_V3_Small", "none")
    assert same(before, backbone.state_dict())


def test_file_of_a_torchvision_classifier(tmp_path: Path):
    whole = torchvision.models.resnet18(weights=None)
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    backbone = build_backbone("ResNet18")
    load_pretrained(backbone, "ResNet18", str(tmp_path / "w.pth"))
    assert torch.equal(backbone[7][1].conv2.weight, whole.layer4[1].conv2.weight)


def test_file_of_a_timm_classifier(tmp_path: Path):
    whole = timm.create_model("resnet10t", pretrained=False)
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    backbone = build_backbone("timm:resnet10t")
    load_pretrained(backbone, "timm:resnet10t", str(tmp_path / "w.pth"))
    assert torch.equal(backbone.model.layer4[0].conv1.weight, whole.layer4[0].conv1.weight)


def test_safetensors_file_of_dinov2(tmp_path: Path):
    """As timm publishes its weights; the two networks differ in nothing but the size of the images."""
    whole = timm.create_model("vit_small_patch14_dinov2", pretrained=False)
    save_file(whole.state_dict(), tmp_path / "model.safetensors")
    backbone = build_backbone("DINOv2_S", "blocks.3")
    load_pretrained(backbone, "DINOv2_S", str(tmp_path / "model.safetensors"))
    assert torch.equal(backbone.model.pos_embed, whole.pos_embed)
    assert torch.equal(backbone.model.blocks[3].mlp.fc1.weight, whole.blocks[3].mlp.fc1.weight)
    (tmp_path / "broken.safetensors").write_bytes(b"no tensors")
    with pytest.raises(PlacewiseError, match="broken.safetensors"):
        load_pretrained(backbone, "DINOv2_S", str(tmp_path / "broken.safetensors"))


def test_file_of_a_network_and_of_another_backbone(tmp_path: Path):
    network = GeoLocalizationNet("MobileNet_V3_Small", 8)
    save_checkpoint({"network": network.state_dict(), "config": {}}, tmp_path / "w.pth")
    backbone = build_backbone("MobileNet_V3_Small")
    load_pretrained(backbone, "MobileNet_V3_Small", str(tmp_path / "w.pth"))
    assert same(backbone.state_dict(), network.backbone.state_dict())
    with pytest.raises(PlacewiseError, match="do not fit"):
        load_pretrained(build_backbone("ResNet18"), "ResNet18", str(tmp_path / "w.pth"))


def test_load_network_from_checkpoint_and_bare_state_dict(tmp_path: Path):
    network = GeoLocalizationNet("ResNet18", 8)
    save_checkpoint(network.state_dict(), tmp_path / "bare.pth")
    config = {"backbone": "ResNet18", "fc_output_dim": 8, "image_size": 99}
    save_checkpoint({"network": network.state_dict(), "config": config}, tmp_path / "ours.pth")
    for name in ("bare", "ours"):
        loaded, found = load_network(tmp_path / f"{name}.pth")
        assert same(loaded.state_dict(), network.state_dict())
        assert found["backbone"] == "ResNet18"


def test_foreign_checkpoint_is_named(tmp_path: Path):
    save_checkpoint({"layer.weight": torch.zeros(2)}, tmp_path / "x.pth")
    with pytest.raises(PlacewiseError, match="x.pth"):
        load_network(tmp_path / "x.pth")


def test_a_checkpoint_without_its_configuration_is_named(tmp_path: Path):
    torch.save({"network": {}}, tmp_path / "x.pth")
    with pytest.raises(PlacewiseError, match="x.pth: .* its `config` is missing"):
        load_network(tmp_path / "x.pth")


def test_a_cut_backbone_takes_its_part_of_whole_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = torchvision.models.resnet18(weights=None)
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    backbone = build_backbone("ResNet18", "layer2")
    load_pretrained(backbone, "ResNet18", str(tmp_path / "w.pth"))
    assert torch.equal(backbone[5][1].conv2.weight, whole.layer2[1].conv2.weight)
    monkeypatch.setattr(pretrained, "_download", lambda name: build_backbone(name))
    load_pretrained(build_backbone("MobileNet_V3_Small", "features.4"), "MobileNet_V3_Small")
    full, cut = build_backbone("EfficientNet_Lite0"), build_backbone("EfficientNet_Lite0", "blocks.2")
    for lite in (full, cut):
        load_pretrained(lite, "EfficientNet_Lite0")
    assert all(torch.equal(full.state_dict()[key], value) for key, value in cut.state_dict().items())


def test_load_network_rebuilds_a_cut_one(tmp_path: Path):
    network = GeoLocalizationNet("ResNet18", 8, cut_after="layer3")
    config = {"backbone": "ResNet18", "fc_output_dim": 8, "cut_after": "layer3"}
    save_checkpoint({"network": network.state_dict(), "config": config}, tmp_path / "cut.pth")
    loaded, _ = load_network(tmp_path / "cut.pth")
    assert same(loaded.state_dict(), network.state_dict())
    assert loaded.backbone.channels == 256


def prefixed(prefix: str, state: dict) -> dict:
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    ("wrap", "words"),
    [
        (lambda state: {"epoch_num": 3, "model_state_dict": state, "optimizer_state_dict": {"state": {}},
                        "best_val_recall1": np.float64(71.5)}, "'model_state_dict'"),
        (lambda state: prefixed("module.", state), "without 'module.'|begin with 'module.'"),
        (lambda state: prefixed("_orig_mod.", state), "without '_orig_mod.'|begin with '_orig_mod.'"),
        (lambda state: {"model_state_dict": prefixed("module._orig_mod.", state)}, "'module._orig_mod.'"),
        (lambda state: {name.replace("backbone.", "backbone._orig_mod."): tensor for name, tensor in state.items()},
         "without '_orig_mod.'"),
        (lambda state: {"state_dict": state, "epoch": 1, "pytorch-lightning_version": "2.4.0"}, "'state_dict'"),
        (lambda state: {"state_dict": prefixed("model.", state) | {"loss_fn.W": torch.zeros(2)}}, "'model.'"),
    ],
)  # fmt: skip
def test_reference_checkpoints_are_unwrapped_and_the_log_says_so(
    wrap: Callable[[dict], dict], words: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    network = GeoLocalizationNet("ResNet18", 8)
    torch.save(wrap(network.state_dict()), tmp_path / "last_checkpoint.pth")
    with caplog.at_level(logging.INFO):
        loaded, found = load_network(tmp_path / "last_checkpoint.pth")
    assert same(loaded.state_dict(), network.state_dict())
    assert found == {"backbone": "ResNet18", "fc_output_dim": 8, "aggregation": "gem"}
    assert re.search(f"last_checkpoint.pth: the weights are read from .*({words})", caplog.text)
    backbone = build_backbone("ResNet18")
    load_pretrained(backbone, "ResNet18", str(tmp_path / "last_checkpoint.pth"))
    assert same(backbone.state_dict(), network.backbone.state_dict())


@pytest.mark.parametrize("name", ["ResNet18", "timm:resnet10t"])
def test_pretrained_files_are_unwrapped(name: str, tmp_path: Path):
    """Classifiers of torchvision and timm as their training scripts save them."""
    timm_name = name.removeprefix("timm:")
    whole = torchvision.models.resnet18() if timm_name == name else timm.create_model(timm_name)
    state = whole.state_dict()
    for number, wrapped in enumerate(({"model": state}, {"state_dict": prefixed("module.", state)})):
        torch.save(wrapped, tmp_path / f"{number}.pth")
        backbone = build_backbone(name)
        load_pretrained(backbone, name, str(tmp_path / f"{number}.pth"))
        assert any(torch.equal(parameter, whole.conv1.weight if timm_name == name else whole.conv1[0].weight)
                   for parameter in backbone.parameters())  # fmt: skip


def test_a_bare_state_dict_is_not_mentioned(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    network = GeoLocalizationNet("ResNet18", 8)
    torch.save(network.state_dict(), tmp_path / "bare.pth")
    with caplog.at_level(logging.INFO):
        load_network(tmp_path / "bare.pth")
    assert "bare.pth" not in caplog.text
