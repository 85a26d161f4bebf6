from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from commons.errors import ArgumentError, PlacewiseError
from datasets.cross_view.aerial_files import AerialFiles
from datasets.cross_view.layout import PairedSet, choose_protocol, paired_layout
from datasets.image_cache import cached_images
from losses.cross_view import infonce
from methods.paired_images import PairedImages
from tests.paired_views import write_cvusa, write_university, write_vigor

CPU = torch.device("cpu")


def read(folder: Path, protocol: str | None = None) -> PairedSet:
    layout = paired_layout(folder)
    return layout.read(folder, "train", choose_protocol(layout, protocol), folder.name)


def method(pairs: PairedSet, bearing: str = "north", hard: str = "none") -> PairedImages:
    chosen = SimpleNamespace(aerial_bearing=bearing, hard_examples=hard, cell_size=5.0, aerial_size=16, levels=1)
    return PairedImages(pairs, AerialFiles(pairs.references, 16, CPU), infonce(), None, chosen, None)


@pytest.fixture(scope="module")
def vigor(tmp_path_factory: pytest.TempPathFactory) -> PairedSet:
    return read(write_vigor(tmp_path_factory.mktemp("data") / "VIGOR", side=3), "cross")


def test_positives_and_semi_positives_are_no_negatives(vigor: PairedSet):
    own, rows = method(vigor), np.arange(len(vigor.queries))
    apart = own.apart(rows).numpy()
    for i in rows:
        shown = {int(vigor.positives.rows[i]), *vigor.semi_positives.rows[3 * i : 3 * i + 3].tolist()}
        assert apart[i].tolist() == [int(vigor.positives.rows[j]) not in shown for j in rows]
    assert 0 < apart.sum() < apart.size and not apart.diagonal().any()
    # Panoramas 0 and 1 show one place; 6 is on the other side of the square of four aerial images.
    assert not apart[0, 1] and not apart[0, 6] and apart[6, 0]


def test_the_network_sees_the_partner_of_each_photo(vigor: PairedSet):
    own, rows = method(vigor), np.array([5, 0, 9])
    photos, aerial = own.inputs(torch.arange(3 * 3 * 4).view(3, 3, 2, 2), torch.from_numpy(rows))
    assert aerial.shape == (3, 1, 3, 16, 16) and aerial.dtype == torch.uint8
    assert torch.equal(photos, torch.arange(36).view(3, 3, 2, 2))
    files = AerialFiles(vigor.references, 16, CPU)
    for number, row in enumerate(rows):
        assert torch.equal(aerial[number, 0], files.read(vigor.positives.rows[[row]])[0][0])


def test_random_bearings_are_quarter_turns(vigor: PairedSet):
    rows = torch.zeros(40, dtype=torch.int64)
    torch.manual_seed(0)
    _, aerial = method(vigor, "random").inputs(torch.zeros(40, 3, 2, 2), rows)
    north = method(vigor).inputs(torch.zeros(1, 3, 2, 2), rows[:1])[1][0, 0]
    turns = [[torch.equal(image[0], north.rot90(k, (1, 2))) for k in range(4)] for image in aerial]
    assert all(sum(own) == 1 for own in turns) and all(np.array(turns).sum(axis=0) > 3)


def test_panoramas_are_turned_with_random_bearings_alone(vigor: PairedSet):
    for bearing, turned in (("north", False), ("random", True)):
        own = method(vigor, bearing)
        sampler = own.sampler(4, 2, 0)
        sampler.set_epoch(own.begin_epoch(0, CPU), 0)
        assert any(draw.shift > 0 for batch in sampler for draw in batch) == turned


def test_a_pass_has_one_photo_of_each_building(tmp_path: Path):
    pairs = read(write_university(tmp_path / "U", 12, 1, 0))
    own = method(pairs)
    own.sampler(12, 5, 0)
    buildings = pairs.positives.rows[own.begin_epoch(0, CPU)]
    assert all(sorted(batch) == list(range(12)) for batch in buildings.tolist())
    with pytest.raises(ArgumentError, match="neighbours needs positions, which U does not have"):
        method(pairs, hard="neighbours")
    with pytest.raises(ArgumentError, match="heading needs tiles"):
        method(pairs, "heading")


def test_the_loss_is_that_of_the_pairs_that_could_be_read(tmp_path: Path):
    """The pair of a broken aerial image is replaced by another of the batch, and duplicates are no negatives."""
    folder = write_cvusa(tmp_path / "CVUSA", 6, 1)
    (folder / "bingmap" / "19" / "0000003.jpg").write_bytes(b"no picture")
    own, rows = method(read(folder)), np.arange(4)
    photos, aerial = own.inputs(torch.arange(4.0).view(4, 1, 1, 1), torch.from_numpy(rows))
    assert photos.flatten().tolist() == [0, 1, 0, 3] and torch.equal(aerial[2], aerial[0])
    descriptors = torch.nn.functional.normalize(torch.randn(4, 2, 8), dim=2)
    expected = infonce()(*descriptors.unbind(1), torch.tensor(
        [[False, True, False, True], [True, False, True, True], [False, True, False, True], [True, True, True, False]]
    ))  # fmt: skip
    assert torch.equal(own.loss(descriptors, torch.from_numpy(rows)), expected)
    (folder / "bingmap" / "19" / "0000005.jpg").write_bytes(b"no picture")
    with pytest.raises(PlacewiseError, match="2 of 6 images cannot be decoded"):
        own.inputs(torch.zeros(2, 1, 1, 1), torch.tensor([4, 5]))


def test_images_of_a_height_and_width_are_cached(vigor: PairedSet, tmp_path: Path):
    plain, cached = (cached_images(vigor.references, [16, 16], how, tmp_path) for how in ("none", "disk"))
    assert torch.equal(plain.read(3), cached.read(3)) and plain.read(3).shape == (3, 16, 16)
