from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from augmentations.pipeline import Augmentation
from commons.errors import ArgumentError, UsageError
from commons.sphere import haversine_km
from datasets.reading import read_places
from datasets.tiles.archives import open_tiles
from datasets.tiles.crops import AerialTiles
from losses.building import make_loss
from methods.street_to_aerial import StreetToAerial
from tests.street_photos import write_world

CHOSEN = {
    "hard_examples": "none", "cell_size": 30.0, "aerial_bearing": "random", "aerial_offset": 10.0,
    "metres_per_pixel": 1.0, "aerial_size": 32, "levels": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"), train=30, others=1)


def method(world: Path, loss: str = "infonce", options: dict | None = None, augment: Any = None, **other: Any):
    aerial = AerialTiles([open_tiles(world / "tiles")], cache_mb=16)
    places = read_places(world / "train")
    own = make_loss(loss, options or {}, "none", {})
    found = StreetToAerial(places, aerial, own, None, SimpleNamespace(**CHOSEN | other), augment, seed=1)
    found.sampler(8, 3, 1)
    return found


def cut(own: StreetToAerial, labels: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(5)
    return own.inputs(torch.zeros(len(labels), 3, 4, 4), labels)[1]


def test_aerial_images_lie_within_the_offset_and_follow_the_generator(world: Path):
    own, labels = method(world), torch.arange(30)
    pyramids = cut(own, labels)
    assert pyramids.shape == (30, 2, 3, 32, 32) and pyramids.dtype == torch.uint8
    lat, lon = own._aerial_at
    north = 1000 * haversine_km(own.degrees[0], own.degrees[1], lat, own.degrees[1])
    east = 1000 * haversine_km(lat, own.degrees[1], lat, lon)
    assert 8 < north.max() < 10.01 and 8 < east.max() < 10.01
    assert torch.equal(cut(own, labels), pyramids)
    assert not torch.equal(own.inputs(torch.zeros(30, 3, 4, 4), labels)[1], pyramids)


def test_without_offset_and_bearing_it_is_the_place_north_up(world: Path):
    own = method(world, aerial_offset=0.0, aerial_bearing="north")
    labels = torch.tensor([3, 0, 7])
    wanted, _ = own.aerial.pyramids(*(column[labels] for column in own.degrees), 1.0, 32, 2)
    assert torch.equal(cut(own, labels), wanted)
    assert not torch.equal(cut(method(world, aerial_offset=0.0), labels), wanted)


def test_the_heading_of_a_photo_is_up_in_its_aerial_images(world: Path):
    own = method(world, aerial_offset=0.0, aerial_bearing="heading")
    heading = np.where(np.arange(30) == 7, np.nan, own.places.heading + 10)
    own.places = replace(own.places, heading=heading)
    labels = torch.tensor([3, 0, 7])
    at = [column[labels[:2]] for column in own.degrees]
    wanted, _ = own.aerial.pyramids(*at, 1.0, 32, 2, heading[labels[:2]])
    found = cut(own, labels)
    assert torch.equal(found[:2], wanted)
    north, _ = own.aerial.pyramids(*at, 1.0, 32, 2)
    assert not torch.equal(found[:2], north)
    sampler = own.sampler(8, 3, 1)
    sampler.set_epoch(own.begin_epoch(0, torch.device("cpu")), 0)
    assert {draw.shift for batch in sampler for draw in batch} == {0.0}  # panoramas are not turned


def test_all_levels_of_a_place_change_colours_alike(world: Path):
    jitter = Augmentation(["color_jitter"], brightness=0.5, contrast=0, saturation=0, hue=0)
    plain, changed = (cut(method(world, augment=a, aerial_offset=0.0), torch.arange(6)) for a in (None, jitter))
    # Brightness is a factor, the same in all pixels that are not clipped.
    plain, changed = plain.float() / 255, changed
    inner = (changed < 0.999) & (plain > 0.1)
    factors = [(changed[i] / plain[i])[inner[i]] for i in range(6)]
    assert all(float(own.std()) < 1e-4 for own in factors)
    assert float(torch.stack([own.mean() for own in factors]).std()) > 0.05


def test_the_loss_is_that_of_its_formula_without_pairs_nearer_than_a_cell(world: Path):
    own = method(world, "infonce", {"decoupled": False, "smoothing": 0.0, "temperature": 0.1})
    labels = torch.tensor([0, 1, 2, 3, 0])  # the last photo replaces one that cannot be decoded
    cut(own, labels)
    descriptors = F.normalize(torch.randn(5, 2, 16), dim=2)
    logits = 10 * descriptors[:, 0] @ descriptors[:, 1].T
    rows, (lat, lon) = labels.numpy(), own._aerial_at
    photo = [column[rows] for column in own.degrees]
    metres = 1000 * haversine_km(photo[0][:, None], photo[1][:, None], lat[None], lon[None])
    assert metres[0, 4] < 30 and (metres > 30).sum() >= 12
    logits[torch.from_numpy((metres <= 30) & ~np.eye(5, dtype=bool))] = -torch.inf
    wanted = (F.cross_entropy(logits, torch.arange(5)) + F.cross_entropy(logits.T, torch.arange(5))) / 2
    assert float(own.loss(descriptors, labels)) == pytest.approx(float(wanted), rel=1e-5)


def test_a_learnable_temperature_is_trained_beside_the_network_and_saved(world: Path):
    own = method(world, "infonce", {"learnable": True})
    assert len(own.parameters) == 1 and len(own.optimizers) == 1 and not method(world).parameters
    labels = torch.arange(6)
    cut(own, labels)
    own.loss(F.normalize(torch.randn(6, 2, 8), dim=2), labels).backward()
    own.optimizers[0].step()
    other = method(world, "infonce", {"learnable": True})
    other.load_state_dict(own.state_dict())
    assert torch.equal(other.parameters[0], own.parameters[0])
    assert not torch.equal(own.parameters[0], method(world, "infonce", {"learnable": True}).parameters[0])


def test_batches_of_descriptors_are_part_of_the_state(world: Path):
    own = method(world, hard_examples="clusters")
    descriptors = F.normalize(torch.randn(30, 8), dim=1)
    own.pairs = own.pairs.__class__(**vars(own.pairs) | {"describe": lambda rows: (descriptors[rows],) * 2})
    drawn = own.begin_epoch(1, torch.device("cpu"))
    assert drawn.shape == (3, 8)
    resumed = method(world, hard_examples="clusters")  # cannot describe anything
    resumed.load_state_dict(own.state_dict())
    assert (resumed.begin_epoch(1, torch.device("cpu")) == drawn).all()
    own.begin_epoch(0, torch.device("cpu"))
    assert own.state_dict()["batches"] is None
    with pytest.raises(ValueError, match="started with 31 training images"):
        own.load_state_dict(own.state_dict() | {"images": 31})


def test_processes_share_each_batch(world: Path):
    own = method(world)
    batches = own.begin_epoch(0, torch.device("cpu"))
    shares = []
    for rank in range(2):
        sampler = own.sampler(8, 3, 1, rank, 2)
        sampler.set_epoch(batches, 0, start=1)
        shares.append(list(sampler))
    assert [len(share) for share in shares] == [2, 2]
    joined = [[draw.row for draw in first + second] for first, second in zip(*shares, strict=True)]
    assert joined == batches[1:].tolist()


def test_batches_that_cannot_be_compared_are_refused(world: Path):
    with pytest.raises(UsageError, match="multiple of 2, at least 4"):
        StreetToAerial.check(3, 2)
    with pytest.raises(UsageError, match="at least 2"):
        StreetToAerial.check(1)
    with pytest.raises(ArgumentError, match="32 is more than the"):
        method(world).sampler(32, 3, 1)
