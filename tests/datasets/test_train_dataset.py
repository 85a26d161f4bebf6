from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from commons.errors import UsageError
from datasets.grouping import Group, make_groups
from datasets.reading import read_places
from datasets.train_dataset import ClassSampler, collate, square, train_loader


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
    images, labels, failures = collate([(good, 5, "a", ""), (None, 6, "b", "torn"), (good * 2, 7, "c", "")])
    assert images.shape == (3, 3, 4, 4)
    assert labels.tolist() == [5, 7, 5]
    assert failures == [("b", "torn")]


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_gives_uint8_batches_epoch_after_epoch(city: Path, workers: int):
    places = read_places(city / "train")
    (group,) = make_groups(places, 10, 30, 5, 2, 1, 2)
    sampler = ClassSampler(4, 3, seed=0)
    sampler.set_epoch(group, 0)
    loader = train_loader(places, sampler, 48, workers, pin_memory=False)
    for epoch in range(2):
        sampler.set_epoch(group, epoch)
        expected = [[label for _, label, _ in batch] for batch in sampler]
        drawn = list(loader)
        assert [labels.tolist() for _, labels, _ in drawn] == expected
        assert all(images.shape == (4, 3, 48, 48) and images.dtype == torch.uint8 for images, _, _ in drawn)
