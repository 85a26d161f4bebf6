"""DINOv2 and DINOv3 compared with the forward pass of timm."""

from functools import cache

import pytest
import timm
import torch
from timm.layers import resample_abs_pos_embed
from torch import nn

from model.backbones import DINO_NAMES, timm_name
from model.backbones.building import build_backbone, freeze_first_blocks
from model.backbones.dinov2 import resample_positions

pytestmark = pytest.mark.slow

TRANSFORMERS = ["DINOv2_S", "DINOv2_S_reg", "DINOv3_S"]


@cache
def two_blocks(name: str) -> nn.Module:
    """The backbone without most of its blocks: what is tested here stands before and behind them."""
    torch.manual_seed(0)
    backbone = build_backbone(name).eval()
    backbone.model.blocks = backbone.model.blocks[:2]
    nn.init.normal_(backbone.model.cls_token)
    for block in backbone.model.blocks:
        for parameter in block.parameters():
            nn.init.normal_(parameter, std=0.1)
    return backbone


def timms_own(name: str, **options: object) -> nn.Module:
    own = timm.create_model(timm_name(name), num_classes=0, global_pool="", depth=2, **options).eval()
    state = two_blocks(name).model.state_dict()
    if "pos_embed" in state and "img_size" in options:
        grid = [side // 14 for side in options["img_size"]]
        if name.endswith("reg"):
            state["pos_embed"] = resample_abs_pos_embed(state["pos_embed"], grid, num_prefix_tokens=0)
        else:
            state["pos_embed"] = resample_positions(state["pos_embed"], *grid)
    own.load_state_dict(state)
    return own


@pytest.mark.parametrize("name", TRANSFORMERS)
@pytest.mark.parametrize("grid", [(6, 6), (3, 5)])
def test_tokens_at_any_multiple_of_the_patch(name: str, grid: tuple[int, int]):
    """timm's model, built for that size with resampled position embeddings, gives the same class token and map."""
    backbone = two_blocks(name)
    size = tuple(side * backbone.patch for side in grid)
    own = timms_own(name, **({"img_size": size} if name.startswith("DINOv2") else {}))
    images = torch.rand(2, 3, *size)
    with torch.no_grad():
        expected = own.forward_features(images)
        tokens, features = backbone.tokens(images), backbone(images)
    registers = 4 if name != "DINOv2_S" else 0
    assert expected.shape[1] == 1 + registers + grid[0] * grid[1]
    assert torch.allclose(tokens[..., 0], expected[:, 0], atol=1e-5)
    patches = expected[:, 1 + registers :].transpose(1, 2)
    assert torch.allclose(tokens[..., 1:], patches, atol=1e-5)
    assert torch.equal(tokens[..., 1:].unflatten(2, grid), features)


@pytest.mark.parametrize("name", ["DINOv2_S", "DINOv2_S_reg"])
def test_native_size_needs_no_interpolation(name: str):
    """At 518x518 timm's model with its one size gives the very same tokens."""
    backbone = two_blocks(name)
    images = torch.rand(1, 3, 518, 518)
    with torch.no_grad():
        assert torch.equal(backbone.tokens(images)[..., 0], timms_own(name).forward_features(images)[:, 0])


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_patches_stay_where_they_are_in_the_image(name: str):
    """Without attention, a change in the lower right of the image changes the lower right of the map only."""
    backbone = build_backbone(name).eval()
    backbone.model.blocks = nn.ModuleList() if name.startswith("DINOv3") else nn.Sequential()
    dark = torch.zeros(1, 3, 2 * backbone.patch, 4 * backbone.patch)
    lit = dark.clone()
    lit[..., backbone.patch :, 3 * backbone.patch :] = 1
    with torch.no_grad():
        changed = (backbone(lit) != backbone(dark)).any(dim=1)[0]
    assert changed.nonzero().tolist() == [[1, 3]]


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_frozen_first_blocks_take_tokens_and_positions_with_them(name: str):
    with torch.device("meta"):
        backbone = build_backbone(name)
    freeze_first_blocks(backbone, 2)
    trained = {key for key, parameter in backbone.named_parameters() if parameter.requires_grad}
    last = {key for key, _ in backbone.named_parameters() if key.startswith(("model.blocks.10.", "model.blocks.11."))}
    assert trained == last | {"model.norm.weight", "model.norm.bias"}


def test_every_name_has_pretrained_weights_in_timm():
    for model in DINO_NAMES.values():
        architecture, _, tag = model.partition(".")
        assert model in timm.list_pretrained(f"{architecture}*"), tag
