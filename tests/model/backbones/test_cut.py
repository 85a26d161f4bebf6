"""Backbones that are cut after a block."""

import pytest
import timm
import torch
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

from commons.errors import ArgumentError
from model.backbones.building import build_backbone
from model.backbones.torchvision_models import TorchvisionViT
from model.network import GeoLocalizationNet

pytestmark = pytest.mark.slow

IMAGES = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def weights(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Random tensors, the same for equal names and shapes, so that a cut and a whole network are comparable."""
    draw = torch.Generator().manual_seed(1)
    return {
        key: torch.rand(value.shape, generator=draw) * 0.2 + (0.5 if key.endswith("running_var") else -0.1)
        if value.is_floating_point()
        else value
        for key, value in state.items()
    }


def pair(name: str, cut_after: str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The cut backbone and the whole one with the same weights."""
    whole, cut = build_backbone(name).eval(), build_backbone(name, cut_after).eval()
    whole.load_state_dict(weights(whole.state_dict()))
    cut.load_state_dict({key: whole.state_dict()[key] for key in cut.state_dict()})
    return cut, whole


def test_resnet50_after_layer3_is_what_mixvpr_takes():
    backbone = build_backbone("ResNet50", "layer3")
    with torch.no_grad():
        assert backbone(torch.rand(1, 3, 320, 320)).shape == (1, 1024, 20, 20)
    assert list(backbone.blocks()) == ["conv1", "bn1", "layer1", "layer2", "layer3"]
    children = {key.split(".")[0] for key in backbone.state_dict()}
    assert children == {"0", "1", "4", "5", "6"}
    assert backbone.channels == 1024


@pytest.mark.parametrize(
    ("name", "cut_after", "node"),
    [
        ("ResNet18", "layer2", "layer2"),
        ("MobileNet_V3_Small", "features.4", "features.4"),
        ("Swin_T", "features.7", "features.7"),
    ],
)
def test_torchvision_maps_are_those_of_the_whole_classifier(name: str, cut_after: str, node: str):
    """torchvision's own feature extractor is the independent implementation."""
    cut = build_backbone(name, cut_after).eval()
    classifier = torchvision.models.get_model(name, weights=None).eval()
    own = list(cut.state_dict())
    layer = {key: value for key, value in weights(cut.state_dict()).items()}
    cut.load_state_dict(layer)
    theirs = dict(zip(list(classifier.state_dict())[: len(own)], layer.values(), strict=True))
    classifier.load_state_dict(theirs, strict=False)
    with torch.no_grad():
        expected = create_feature_extractor(classifier, [node])(IMAGES)[node]
        features = cut(IMAGES)
    if name.startswith("Swin"):
        expected = expected.permute(0, 3, 1, 2)
    assert torch.allclose(features, expected, rtol=1e-4, atol=1e-5)
    assert cut.channels == features.shape[1]
    assert list(cut.blocks())[-1] == cut_after


@pytest.mark.parametrize(
    ("name", "index", "cut_after"),
    [
        ("timm:vit_tiny_patch16_224", 3, "blocks.3"),
        ("timm:vit_tiny_patch16_224", 11, "blocks.11"),
        ("timm:vit_small_patch16_dinov3", 1, "blocks.1"),
        ("timm:convnext_atto", 2, "stages.2"),
        ("timm:resnet10t", 3, "layer3"),
        ("EfficientNet_Lite0", 2, "blocks.2"),
    ],
)
def test_timm_maps_are_its_intermediate_ones(name: str, index: int, cut_after: str):
    """timm's forward_intermediates, without the last normalisation, is the independent implementation."""
    cut, whole = pair(name, cut_after)
    size = 2 * getattr(cut, "patch", 16) if "patch1" in name else 64
    images = torch.rand(1, 3, size, size + size // 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = whole.model.forward_intermediates(images, indices=[index], norm=False, intermediates_only=True)[-1]
        features = cut(images)
    assert torch.allclose(features, expected, rtol=1e-4, atol=1e-5)
    assert cut.channels == features.shape[1]


def test_vgg_ends_with_the_convolution():
    with torch.device("meta"):
        backbone = build_backbone("VGG16", "conv4_3")
    assert isinstance(backbone[-1], torch.nn.Conv2d)
    assert list(backbone.state_dict())[-1] == "21.bias"
    assert backbone.channels == 512


def test_torchvision_transformer():
    classifier = torchvision.models.VisionTransformer(64, 16, 4, 2, 32, 64)
    whole, seen = TorchvisionViT(classifier).eval(), []
    whole.encoder.dropout.register_forward_hook(lambda module, inputs, output: seen.append(output))
    for block in whole.encoder.layers:
        block.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        whole(IMAGES)
        for block, expected in (("blocks.2", seen[3]), ("blocks.0", seen[1])):
            assert torch.equal(TorchvisionViT(classifier, block).tokens(IMAGES), expected.transpose(1, 2))


@pytest.mark.parametrize("name", ["ResNet18", "VGG16", "Swin_T", "ViT_B_32", "EfficientNet_Lite0", "timm:resnet10t"])
def test_every_block_can_be_the_last_and_nothing_behind_it_is_kept(name: str):
    with torch.device("meta"):
        whole = build_backbone(name)
        kept = 0
        for block, parameters in whole.blocks().items():
            if block == "stem":
                kept = sum(parameter.numel() for parameter in parameters)
                continue
            cut = build_backbone(name, block)
            assert list(cut.blocks())[-1] == block
            inside = sum(parameter.numel() for own in cut.blocks().values() for parameter in own)
            assert inside == sum(parameter.numel() for parameter in cut.parameters())
            assert kept < inside <= kept + sum(parameter.numel() for parameter in parameters)
            assert cut.state_dict().keys() <= whole.state_dict().keys()
            kept = inside


@pytest.mark.parametrize(
    ("name", "cut_after", "words"),
    [
        ("ResNet50", "layer5", r"did you mean layer\d\?\); choose from conv1, bn1, layer1, layer2, layer3, layer4"),
        ("ViT_B_32", "layer3", "choose from blocks.0, blocks.1"),
        ("EfficientNet_Lite0", "blocks.9", "did you mean blocks"),
    ],
)
def test_unknown_blocks(name: str, cut_after: str, words: str):
    with pytest.raises(ArgumentError, match=f"`cut_after`: {cut_after} is not a block.*{words}"), torch.device("meta"):
        build_backbone(name, cut_after)


def test_a_class_token_that_has_seen_nothing_is_refused():
    """CaiT puts its class token behind all blocks but the last two."""
    with pytest.raises(ArgumentError, match="cait_xxs24_224 cut after blocks.3 does not have"), torch.device("meta"):
        GeoLocalizationNet("timm:cait_xxs24_224", aggregation="cls", cut_after="blocks.3")


@pytest.mark.parametrize(("name", "words"), [("volo_d1_224", "no feature map"), ("coat_mini", "only token or avg")])
def test_timm_models_that_give_no_map(name: str, words: str):
    with pytest.raises(ArgumentError, match=f"(?i)`backbone`: timm:{name} .*{words}"), torch.device("meta"):
        build_backbone(f"timm:{name}")


def test_timm_blocks_are_whole_stages():
    """A last normalisation belongs to the last stage: training the last block is not training a normalisation."""
    with torch.device("meta"):
        assert list(timm_blocks("convnext_atto")) == ["stem", "stages.0", "stages.1", "stages.2", "stages.3"]
        assert list(timm_blocks("swin_tiny_patch4_window7_224"))[-1] == "layers.3"
        assert list(timm_blocks("caformer_s18"))[-1] == "stages.3"
        assert list(timm_blocks("inception_v3"))[-2:] == ["Mixed_7b", "Mixed_7c"]


def timm_blocks(name: str) -> dict:
    assert timm.is_model(name)
    return build_backbone(f"timm:{name}").blocks()
