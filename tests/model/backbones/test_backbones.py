import logging

import pytest
import torch

from commons.errors import ArgumentError
from model.backbones import timm_name
from model.backbones.building import build_backbone, freeze_first_blocks
from model.backbones.common import SizedBackbone

pytestmark = pytest.mark.slow

SMALL = [
    "ResNet18",
    "EfficientNet_B0",
    "MobileNet_V3_Small",
    "EfficientNet_Lite0",
    "Swin_T",
    "ViT_B_32",
    "ConvNeXt_Tiny",
]
TIMM = ["timm:vit_tiny_patch16_224", "timm:swin_tiny_patch4_window7_224", "timm:resnet10t", "timm:mixer_s32_224"]


@pytest.mark.parametrize("name", [*SMALL, *TIMM])
def test_any_image_size_gives_a_map_with_the_named_channels(name: str):
    backbone = build_backbone(name).eval()
    with torch.no_grad():
        features = backbone(torch.rand(2, 3, 96, 70))
    assert features.ndim == 4
    assert features.shape[:2] == (2, backbone.channels)


def test_tokens_keep_their_place_in_the_map():
    """A picture whose right half alone is lit changes the map of a patch-wise model mostly there."""
    backbone = build_backbone("timm:vit_tiny_patch16_224").eval()
    backbone.model.blocks = torch.nn.Identity()
    dark, lit = torch.zeros(1, 3, 64, 128), torch.zeros(1, 3, 64, 128)
    lit[..., 64:] = 1
    with torch.no_grad():
        change = (backbone(lit) - backbone(dark)).abs().sum(1)[0]
    assert change.shape == (4, 8)
    assert (change[:, :4] == 0).all()
    assert (change[:, 4:] > 0).all()


@pytest.mark.parametrize("name", ["ViT_B_32", "timm:vit_tiny_patch16_224", "timm:vit_small_patch14_reg4_dinov2"])
def test_tokens_are_the_class_token_and_the_map(name: str):
    """Registers, which stand between them, are in neither."""
    backbone = build_backbone(name).eval()
    images = torch.rand(2, 3, 3 * backbone.patch, 2 * backbone.patch)
    seen = []
    last = backbone.encoder.ln if name.startswith("ViT") else backbone.model.norm
    last.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        tokens, features = backbone.tokens(images), backbone(images)
    assert backbone.has_class_token
    assert tokens.shape == (2, backbone.channels, 1 + 6)
    assert torch.equal(tokens[..., 0], seen[0][:, 0])
    assert torch.equal(tokens[..., 1:].unflatten(2, (3, 2)), features)


@pytest.mark.parametrize("name", ["ResNet18", "Swin_T", "timm:resnet10t", "timm:vit_wee_patch16_reg1_gap_256"])
def test_backbones_without_class_token(name: str):
    assert not build_backbone(name).has_class_token


def frozen_names(name: str) -> set[str]:
    with torch.device("meta"):
        backbone = build_backbone(name)
    freeze_first_blocks(backbone)
    return {key for key, parameter in backbone.named_parameters() if not parameter.requires_grad}


def test_resnet_trains_layer3_and_layer4_only():
    """Children 6 and 7 of the sequence are layer3 and layer4, as in the reference implementation."""
    frozen = frozen_names("ResNet18")
    with torch.device("meta"):
        everything = {key for key, _ in build_backbone("ResNet18").named_parameters()}
    assert frozen == {key for key in everything if int(key.split(".")[0]) < 6}


def test_efficientnet_trains_its_last_blocks_only():
    frozen = frozen_names("EfficientNet_B0")
    assert {key.split(".")[1] for key in frozen} == {"0", "1", "2", "3", "4"}
    lite = frozen_names("EfficientNet_Lite0")
    assert {".".join(key.split(".")[1:3]) for key in lite if "blocks" in key} == {f"blocks.{i}" for i in range(4)}
    assert "model.conv_stem.weight" in lite and "model.conv_head.weight" not in lite


def test_vgg_trains_its_last_five_layers_only():
    """conv5_1 to conv5_3, without the last ReLU and pooling, as in the reference implementation."""
    with torch.device("meta"):
        names = {key.split(".")[0] for key, _ in build_backbone("VGG16").named_parameters()}
    trained = names - {key.split(".")[0] for key in frozen_names("VGG16")}
    assert trained == {"24", "26", "28"}


def test_transformers_freeze_their_first_half():
    frozen = frozen_names("ViT_B_32")
    blocks = {key.split(".")[2] for key in frozen if "encoder_layer_" in key}
    assert blocks == {f"encoder_layer_{number}" for number in range(6)}


@pytest.mark.parametrize(
    ("name", "trained"), [("ResNet18", {"7"}), ("EfficientNet_Lite0", {"blocks.6", "conv_head", "bn2"})]
)
def test_number_of_trainable_blocks(name: str, trained: set[str]):
    backbone = build_backbone(name)
    freeze_first_blocks(backbone, 1)
    left = {key.removeprefix("model.") for key, parameter in backbone.named_parameters() if parameter.requires_grad}
    assert left == {key for key in left if key.startswith(tuple(trained))}
    assert {start for start in trained if any(key.startswith(start) for key in left)} == trained
    freeze_first_blocks(backbone, 0)
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    with pytest.raises(ArgumentError, match="`num_trainable_blocks`: 99 is too many"):
        freeze_first_blocks(backbone, 99)


@pytest.mark.parametrize("name", ["ResNet19", "timm:no_such_model", "resnet18"])
def test_unknown_names_are_usage_errors(name: str):
    with pytest.raises(ArgumentError, match="`backbone`: .*is unknown"):
        build_backbone(name)


def test_names():
    assert timm_name("EfficientNet_Lite2") == "tf_efficientnet_lite2"
    assert timm_name("timm:resnet18") == "resnet18"
    assert timm_name("ResNet18") is None


def test_sides_go_to_the_nearest_multiple_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    backbone = SizedBackbone()
    backbone.patch = 14
    for side in range(1, 100):
        image = torch.empty(1, 3, side, 14, device="meta")
        assert backbone.sized(image).shape[2] == max(1, round(side / 14)) * 14
    images = torch.rand(1, 3, 28, 42)
    assert backbone.sized(images) is images
    assert backbone.sized(torch.empty(1, 3, 320, 100, device="meta")).shape == (1, 3, 322, 98)
    assert not caplog.messages
    assert backbone.sized(torch.rand(1, 3, 320, 100)).shape == (1, 3, 322, 98)
    assert backbone.sized(torch.rand(1, 3, 5, 50)).shape == (1, 3, 14, 56)
    (message,) = caplog.messages
    assert "100x320 are resized to 98x322" in message and "patch of 14" in message


def test_a_network_of_one_size_resizes_to_it(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    backbone = SizedBackbone()
    backbone.fixed_size = [224, 224]
    assert backbone.sized(torch.rand(1, 3, 100, 200)).shape == (1, 3, 224, 224)
    assert "200x100 are resized to 224x224 for the backbone, its only size" in caplog.text
