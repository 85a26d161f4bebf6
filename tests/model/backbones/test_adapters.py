"""Changed vision transformers: blocks, cuts and pretrained weights. tests/model/published compares their outputs."""

from pathlib import Path

import pytest
import torch

from commons.checkpoints import save_checkpoint
from commons.errors import ArgumentError
from model.backbones import ADAPTED_NAMES
from model.backbones.adapters import CHANGES
from model.backbones.building import build_backbone, freeze_first_blocks
from model.network import GeoLocalizationNet, check_network
from model.pretrained import load_pretrained

pytestmark = pytest.mark.usefixtures("small_dinov2")


def test_every_name_has_its_change():
    assert set(CHANGES) == set(ADAPTED_NAMES)


@pytest.mark.parametrize("name", ADAPTED_NAMES)
def test_added_layers_belong_to_blocks_and_stay_random(name: str, tmp_path: Path):
    plain, changed = build_backbone(name.rpartition("_")[0]), build_backbone(name)
    state = changed.state_dict()
    assert set(state) - set(plain.state_dict()) == changed.added and changed.added
    assert all(key.startswith("model.blocks.") for key in changed.added)
    assert sum(len(own) for own in changed.blocks().values()) == len(list(changed.parameters()))
    before = {key: state[key].clone() for key in changed.added}
    save_checkpoint(
        {key.removeprefix("model."): value for key, value in plain.state_dict().items()}, tmp_path / "w.pth"
    )
    load_pretrained(changed, name, str(tmp_path / "w.pth"))
    for key, value in changed.state_dict().items():
        assert torch.equal(value, before[key] if key in before else plain.state_dict()[key])
    freeze_first_blocks(changed, 1)
    trained = {key.split(".")[2] for key, own in changed.named_parameters() if own.requires_grad and "blocks" in key}
    assert trained == {"1"}


def test_a_cut_drops_what_follows():
    changed = build_backbone("DINOv2_B_LoPA", "blocks.0")
    assert {key.split(".")[2] for key in changed.added if key in changed.state_dict()} == {"0"}
    assert changed(torch.rand(1, 3, 28, 42)).shape == (1, 128, 2, 3)


def test_tokens_of_the_whole_image_and_aggregations_must_agree():
    assert check_network("DINOv2_B_reg_ImAge", 0, "tokens", {}, 56) == 8 * 128
    for backbone, aggregation in (("DINOv2_B_reg_ImAge", "cls"), ("DINOv2_B", "tokens")):
        with pytest.raises(ArgumentError, match=rf"`aggregation`: {aggregation} needs \d .*`backbone` {backbone} has"):
            GeoLocalizationNet(backbone, 0, aggregation)
    with pytest.raises(ArgumentError, match="`image_size`: a map of 2x2 cannot be divided into 3 x 3 regions"):
        check_network("DINOv2_B_MultiConv", 0, "cricavpr", {}, 28)


def test_facets_of_other_backbones_are_refused():
    with pytest.raises(ArgumentError, match="`cut_after`: layer3.value is not a block"):
        build_backbone("ResNet18", "layer3.value")
    with pytest.raises(ArgumentError, match="`cut_after`: blocks.9 is not a block"):
        build_backbone("DINOv2_B", "blocks.9.key")
