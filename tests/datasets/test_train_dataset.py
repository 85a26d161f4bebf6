from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from commons.errors import UsageError
from datasets.decoding import ImageFiles
from datasets.grouping import Group, make_groups
from datasets.image_cache import cached_images
from datasets.reading import read_places
from datasets.train_dataset import ClassSampler, Sample, Undecoded, collate, square, to_device, train_loader


def group_of(*sizes: int) -> Group:
    offsets = np.append(0, np.cumsum(sizes))
    return Group(np.arange(offsets[-1]) * 10, offsets, (0, 0, 0))


def batches(sampler: ClassSampler, group: Group, epoch: int = 0, start: int = 0) -> list:
    sampler.set_epoch(group, epoch, start)
    return list(sampler)


def test_each_pass_visits_every_class_once_without_the_incomplete_batch():
    group = group_of(*[3] * 7)
    drawn = batches(ClassSampler(3, 6, seed=0), group)
    assert [len(batch) for batch in drawn] == [3] * 6
    for first in range(0, 6, 2):
        labels = [label for batch in drawn[first : first + 2] for _, label, _ in batch]
        assert len(set(labels)) == 6


def test_images_belong_to_their_class_and_are_equally_likely():
    group = group_of(1, 4, 2)
    counts = Counter()
    for batch in batches(ClassSampler(3, 3000, seed=1), group):
        for image, label, shift in batch:
            assert group.offsets[label] <= image // 10 < group.offsets[label + 1]
            assert 0 <= shift < 1
            counts[image] += 1
    assert counts[0] == 3000
    for image in (10, 20, 30, 40):
        assert counts[image] == pytest.approx(750, abs=100)
    for image in (50, 60):
        assert counts[image] == pytest.approx(1500, abs=120)


def test_resuming_draws_the_rest():
    group = group_of(*[2] * 10)
    sampler = ClassSampler(4, 9, seed=3)
    whole = batches(sampler, group, epoch=2)
    for start in (1, 4, 5, 8):
        assert batches(sampler, group, epoch=2, start=start) == whole[start:]


def test_two_processes_share_what_one_draws():
    group = group_of(*[2] * 10)
    whole = batches(ClassSampler(4, 5, seed=3), group)
    halves = [batches(ClassSampler(4, 5, 3, rank, 2), group) for rank in range(2)]
    assert [a + b for a, b in zip(*halves, strict=True)] == whole


def test_epochs_and_seeds_differ():
    group = group_of(*[2] * 10)
    first = batches(ClassSampler(4, 5, seed=3), group)
    assert batches(ClassSampler(4, 5, seed=3), group, epoch=1) != first
    assert batches(ClassSampler(4, 5, seed=4), group) != first


def test_mistakes_name_the_flag():
    with pytest.raises(UsageError, match="3 classes.*--batch_size 4.*lower --batch_size to 3"):
        ClassSampler(4, 5, 0).set_epoch(group_of(1, 1, 1), 0)
    with pytest.raises(UsageError, match="--batch_size 5"):
        ClassSampler(5, 5, 0, processes=2)


@pytest.mark.parametrize(("shift", "columns"), [(0.0, (0, 20)), (0.5, (10, 30)), (1.0, (20, 40))])
def test_square_window(shift: float, columns: tuple[int, int]):
    image = torch.arange(40, dtype=torch.uint8).expand(3, 20, 40)
    assert torch.equal(square(image, 20, shift), image[:, :, slice(*columns)])


def test_unreadable_images_are_replaced_within_the_batch():
    good = torch.ones(3, 4, 4, dtype=torch.uint8)
    images, labels, failures = collate(
        [Sample(good, 5, 0.0, "a"), Sample(None, 6, 0.0, "b", "torn"), Sample(good * 2, 7, 0.0, "c")]
    )
    assert images.shape == (3, 3, 4, 4)
    assert labels.tolist() == [5, 7, 5]
    assert failures == [("b", "torn")]


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_gives_uint8_batches_epoch_after_epoch(city: Path, workers: int):
    places = read_places(city / "train")
    (group,) = make_groups(places, 10, 30, 5, 2, 1, 2)
    sampler = ClassSampler(4, 3, seed=0)
    sampler.set_epoch(group, 0)
    loader = train_loader(ImageFiles(places, 48), sampler, workers, pin_memory=False)
    for epoch in range(2):
        sampler.set_epoch(group, epoch)
        expected = [[label for _, label, _ in batch] for batch in sampler]
        drawn = list(loader)
        assert [labels.tolist() for _, labels, _ in drawn] == expected
        assert all(images.shape == (4, 3, 48, 48) and images.dtype == torch.uint8 for images, _, _ in drawn)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("cache", ["none", "disk"])
def test_decoding_on_the_device_gives_the_same_batches(own_city: Path, tmp_path: Path, workers: int, cache: str):
    """Upright JPEGs go undecoded; a turned one, a PNG, cached pixels and damaged ones as without."""
    first, second, third, fourth, fifth = sorted((own_city / "train").iterdir())[::5][:5]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(first).resize((80, 64)).save(first, exif=exif)
    Image.open(second).save(second, "PNG")
    third.write_bytes(third.read_bytes()[:-100])
    fourth.write_bytes(b"torn")
    Image.effect_noise((150, 90), 90).convert("RGB").save(fifth, quality=100)
    places = read_places(own_city / "train")
    (group,) = make_groups(places, 10, 30, 5, 2, 1, 2)
    sampler = ClassSampler(8, 6, seed=0)
    sampler.set_epoch(group, 0)
    source = cached_images(places, 48, cache, tmp_path / "cache")
    assert {source.load(row).ndim for row in range(len(places))} == ({1} if cache == "none" else {1, 3})
    plain = train_loader(source, sampler, workers, pin_memory=False)
    undecoded = train_loader(source, sampler, workers, pin_memory=False, undecoded=True)
    seen = set()
    for ours, theirs in zip(undecoded, plain, strict=True):
        assert isinstance(ours, Undecoded)
        assert any(len(shape) == 1 and shape[0] for shape in ours.shapes)
        images, labels, failures = to_device(ours, 48, torch.device("cpu"))
        assert torch.equal(images, theirs[0])
        assert torch.equal(labels, theirs[1])
        assert failures == theirs[2]
        seen |= {Path(path) for path, _ in failures}
    assert seen == {third, fourth}


def test_a_batch_without_a_readable_image_is_empty(tmp_path: Path):
    undecoded = Undecoded(torch.empty(0, dtype=torch.uint8), [(0,)], [Sample(None, 5, 0.0, "a", "torn")])
    images, labels, failures = to_device(undecoded, 48, torch.device("cpu"))
    assert (len(images), len(labels), failures) == (0, 0, [("a", "torn")])
