from collections import Counter

import numpy as np
import pytest

from commons.errors import ArgumentError
from datasets.grouping import Group
from datasets.samplers import ClassSampler, Draw, PairedSampler, _different


def group_of(*sizes: int) -> Group:
    offsets = np.append(0, np.cumsum(sizes))
    return Group(np.arange(offsets[-1]) * 10, offsets, (0, 0, 0))


def batches(sampler: ClassSampler, group: Group, epoch: int = 0, start: int = 0) -> list:
    sampler.set_epoch([group], epoch, start)
    return list(sampler)


def test_each_pass_visits_every_class_once_without_the_incomplete_batch():
    group = group_of(*[3] * 7)
    drawn = batches(ClassSampler(3, 6, seed=0), group)
    assert [len(batch) for batch in drawn] == [3] * 6
    for first in range(0, 6, 2):
        labels = [draw.label for batch in drawn[first : first + 2] for draw in batch]
        assert len(set(labels)) == 6


def test_images_belong_to_their_class_and_are_equally_likely():
    group = group_of(1, 4, 2)
    counts = Counter()
    for batch in batches(ClassSampler(3, 3000, seed=1), group):
        for image, label, shift, around in batch:
            assert group.offsets[label] <= image // 10 < group.offsets[label + 1]
            assert 0 <= shift < 1 and not around
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
    with pytest.raises(ArgumentError, match="`batch_size`: 4 needs 4 .* has 3: lower `batch_size` to 3 or less"):
        ClassSampler(4, 5, 0).set_epoch([group_of(1, 1, 1)], 0)
    with pytest.raises(ArgumentError, match="`batch_size`: 5"):
        ClassSampler(5, 5, 0, processes=2)
    with pytest.raises(ArgumentError, match="`batch_size`: 10 is not a multiple of 4 .* set it to 8"):
        ClassSampler(10, 5, 0, images_per_class=4)
    with pytest.raises(ArgumentError, match="`batch_size`: 12 of 4 .* by 2 processes: make it a multiple of 8"):
        ClassSampler(12, 5, 0, processes=2, images_per_class=4)
    with pytest.raises(ArgumentError, match="`min_images_per_class`: a class has 2 images.*raise it to 3"):
        ClassSampler(6, 5, 0, images_per_class=3).set_epoch([group_of(4, 2, 3)], 0)
    with pytest.raises(ArgumentError, match="has 3: lower `batch_size` to 6 or less"):
        ClassSampler(8, 5, 0, images_per_class=2).set_epoch([group_of(2, 2, 2), group_of(2)], 0)
    with pytest.raises(ArgumentError, match="`batch_size`: 6: .* multiple of 4"):
        PairedSampler(6, 5, 0, processes=2)
    with pytest.raises(ArgumentError, match="`batch_size`: group .* has 1 classes.*lower it to 2"):
        PairedSampler(4, 5, 0).set_epoch([group_of(1, 1), group_of(1)], 0)


def test_cosplace_draws_stay_what_they_were():
    """One image a class from one group: permutation, images and windows from one generator, in this order."""
    group = group_of(3, 1, 4, 2, 5)
    (batch,) = batches(ClassSampler(5, 1, seed=7), group, epoch=2)
    draw = np.random.default_rng([7, 2, 0])
    labels = draw.permutation(5)
    chosen = [int(u * (3, 1, 4, 2, 5)[c]) for c, u in zip(labels, draw.random(5), strict=True)]
    images = group.images[group.offsets[labels] + chosen]
    assert batch == [Draw(*each) for each in zip(images, labels, draw.random(5), strict=True)]


def test_different_draws_are_different_and_every_set_is_equally_likely():
    draw = np.random.default_rng(0)
    picked = _different(draw.random((12_000, 3)), np.full(12_000, 5))
    assert picked.min() == 0 and picked.max() == 4
    sets = Counter(tuple(row) for row in picked.tolist())
    assert len(sets) == 60  # 5 * 4 * 3 ordered triples without a repeated number
    assert all(count == pytest.approx(200, abs=70) for count in sets.values())
    assert sorted(_different(draw.random((1, 4)), np.array([4]))[0]) == [0, 1, 2, 3]


def test_several_images_a_class_stand_together_and_differ():
    group = group_of(*[5] * 7)
    drawn = batches(ClassSampler(9, 50, seed=0, images_per_class=3), group)
    for batch in drawn:
        labels = [draw.label for draw in batch]
        assert labels == [label for label in labels[::3] for _ in range(3)] and len(set(labels)) == 3
        assert len({draw.row for draw in batch}) == 9
        assert all(group.offsets[label] <= row // 10 < group.offsets[label + 1] for row, label, _, _ in batch)
    assert Counter(draw.label for batch in drawn for draw in batch) == pytest.approx(
        Counter({label: 450 / 7 for label in range(7)}), rel=0.25
    )


def test_batches_of_several_groups_hold_one_group_each_and_a_pass_visits_all():
    groups = [
        Group(1000 * number + np.arange(2 * size), np.arange(0, 2 * size + 1, 2), (number, 0, 0))
        for number, size in enumerate((7, 4, 1))
    ]
    sampler = ClassSampler(4, 10, seed=0, images_per_class=2)
    sampler.set_epoch(groups, 0)
    owners = [{draw.row // 1000 for draw in batch} for batch in sampler]
    for start in (0, 5):  # 3 batches of the first group and 2 of the second; the third cannot fill one
        assert Counter(owner for (owner,) in owners[start : start + 5]) == {0: 3, 1: 2}
    assert len({tuple(map(tuple, owners[start : start + 5])) for start in (0, 5)}) == 2


def test_processes_share_whole_classes():
    group = group_of(*[5] * 8)
    whole = batches(ClassSampler(12, 4, 3, images_per_class=3), group)
    halves = [batches(ClassSampler(12, 4, 3, rank, 2, images_per_class=3), group) for rank in range(2)]
    assert [a + b for a, b in zip(*halves, strict=True)] == whole
    assert all(len({draw.label for draw in half}) == 2 for half in halves[0])


def test_paired_batches_have_two_halves_with_own_draws_and_resume():
    groups = [group_of(*[4] * 6), group_of(*[4] * 6)]
    sampler = PairedSampler(8, 9, seed=3)
    sampler.set_epoch(groups, 1)
    whole = list(sampler)
    for batch in whole:
        labels = [draw.label for draw in batch]
        assert all(label < 6 for label in labels[:4]) and all(6 <= label < 12 for label in labels[4:])
        assert labels[:4] != [label - 6 for label in labels[4:]]
        assert all(draw.row // 10 // 4 == draw.label % 6 for draw in batch)
    sampler.set_epoch(groups, 1, 5)
    assert list(sampler) == whole[5:]
    halves = []
    for rank in range(2):
        share = PairedSampler(8, 9, 3, rank, 2)
        share.set_epoch(groups, 1)
        halves.append(list(share))
    assert [a[:2] + b[:2] + a[2:] + b[2:] for a, b in zip(*halves, strict=True)] == whole


def test_windows_of_panoramas_are_where_the_group_says():
    group = Group(np.arange(6), np.arange(0, 7, 2), (0, 0, 0), centres=np.linspace(0, 0.5, 6))
    (batch,) = batches(ClassSampler(3, 1, seed=0), group)
    assert all(draw.around and draw.shift == pytest.approx(0.1 * draw.row) for draw in batch)
