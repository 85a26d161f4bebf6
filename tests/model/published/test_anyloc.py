"""AnyLoc: a facet of a block of DINOv2, and a vocabulary that is read from a file."""

from pathlib import Path

import pytest
import torch

import hubconf
from commons.checkpoints import save_checkpoint
from commons.errors import ArgumentError, PlacewiseError
from model.network import GeoLocalizationNet
from model.published import PUBLISHED
from model.published.weights import load_published
from tests.model.published.layouts import (
    DEPTH,
    WIDTH,
    PlainDINOv2,
    assert_describes,
    dinov2_shapes,
    random_state,
)

FACETS = {"query": 0, "key": 1, "value": 2}


def vlad(features: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """One feature after the other: its residual is added to the centre with the largest cosine."""
    features = features / features.norm(dim=1, keepdim=True)
    sums = torch.zeros_like(centres)
    for feature in features:
        nearest = int(torch.stack([feature @ centre / centre.norm() for centre in centres]).argmax())
        sums[nearest] += feature - centres[nearest]
    sums = sums / sums.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return sums.flatten() / sums.norm()


@pytest.mark.usefixtures("small_dinov2")
@pytest.mark.parametrize("facet", ["query", "key", "value", "token"])
def test_descriptors_of_every_facet(facet: str):
    state = random_state(dinov2_shapes("", WIDTH, DEPTH))
    centres = 0.5 * torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(1))
    images = torch.rand(2, 3, 112, 84)
    plain = PlainDINOv2(state, "")
    x = plain.block(0, plain.embedded(images))
    x = plain.block(1, x) if facet == "token" else plain.facets(1, x)[FACETS[facet]]
    cut = "blocks.1" if facet == "token" else f"blocks.1.{facet}"
    network = GeoLocalizationNet("DINOv2_B", 0, "vlad", {"clusters": 4}, cut_after=cut).eval()
    keys = network.backbone.state_dict()
    assert ("model.blocks.1.mlp.fc1.weight" in keys) == (facet == "token")
    network.backbone.load_state_dict({key: state[key.removeprefix("model.")] for key in keys})
    network.aggregation.set_vocabulary(centres)
    assert_describes(network, images, torch.stack([vlad(image[1:], centres) for image in x]))


@pytest.fixture
def small_anyloc(small_dinov2: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("anyloc-urban-49152", "anyloc-database-49152"):
        changes = {"backbone": "DINOv2_B", "cut_after": "blocks.1.value"}
        monkeypatch.setitem(PUBLISHED[name].network, "backbone", changes["backbone"])
        monkeypatch.setitem(PUBLISHED[name].network, "cut_after", changes["cut_after"])


@pytest.mark.usefixtures("small_anyloc")
def test_vocabularies_are_read_and_the_backbone_has_its_own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    centres, weights = torch.randn(32, WIDTH), random_state(dinov2_shapes("", WIDTH, DEPTH))
    torch.save(centres, tmp_path / "centres.pt")
    save_checkpoint(weights, tmp_path / "dinov2.pth")
    network, config = load_published("anyloc-urban-49152", str(tmp_path / "centres.pt"), str(tmp_path / "dinov2.pth"))
    assert torch.equal(network.aggregation.centroids, centres) and network.aggregation.given
    assert torch.equal(network.backbone.model.blocks[1].norm1.weight, weights["blocks.1.norm1.weight"])
    assert config["cut_after"] == "blocks.1.value"
    network, _ = load_published("anyloc-database-49152", None, "none")
    assert not network.aggregation.given and network.aggregation.not_exportable
    monkeypatch.setattr(hubconf, "load_published", lambda name, file: (network, {}))
    with pytest.raises(ArgumentError, match="`name`: anyloc has no vocabulary: choose anyloc-urban"):
        hubconf.published("anyloc")
    torch.save(torch.randn(16, WIDTH), tmp_path / "few.pt")
    with pytest.raises(
        PlacewiseError, match="`vocabulary`: it has 16 centres of 128 channels, but the network needs 32"
    ):
        load_published("anyloc-urban-49152", str(tmp_path / "few.pt"), "none")


def test_names_and_addresses():
    entries = {name: entry for name, entry in PUBLISHED.items() if name.startswith("anyloc-")}
    assert len(entries) == 7
    with torch.device("meta"):
        network = GeoLocalizationNet(**entries["anyloc-urban-49152"].network)
    assert network.descriptor_dim == 49152 and len(network.backbone.model.blocks) == 32
    address = "https://github.com/AnyLoc/DINO/releases/download/v1/dinov2_vitg14_l31_value_c32_urban_c_centers.pt"
    assert entries["anyloc-urban-49152"].address == address
