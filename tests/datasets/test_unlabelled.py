import numpy as np
import pytest

from commons.errors import UsageError
from datasets.unlabelled import ImageSampler


def draws(sampler: ImageSampler, epoch: int = 0, start: int = 0) -> list[list[tuple[int, int, float]]]:
    sampler.set_epoch(epoch, start)
    assert len(sampler) == len(batches := list(sampler))
    return batches


def test_pass_after_pass_without_a_gap():
    """7 images in batches of 3: 4 epochs of 7 batches are 12 passes, across the ends of batches and epochs."""
    sampler = ImageSampler(7, 3, 7, seed=0)
    rows = [row for epoch in range(4) for batch in draws(sampler, epoch) for row, _, _ in batch]
    passes = np.reshape(rows, (12, 7))
    assert (np.sort(passes, axis=1) == np.arange(7)).all()
    assert len({tuple(order) for order in passes}) > 10


def test_a_batch_may_be_larger_than_the_set():
    (batch,) = draws(ImageSampler(3, 10, 1, seed=0))
    assert np.bincount([row for row, _, _ in batch]).min() == 3
    assert len(batch) == 10


def test_draws_follow_from_seed_epoch_and_iteration_alone():
    whole = draws(ImageSampler(11, 4, 9, seed=5), epoch=2)
    assert draws(ImageSampler(11, 4, 9, seed=5), epoch=2, start=6) == whole[6:]
    assert draws(ImageSampler(11, 4, 9, seed=6), epoch=2) != whole
    shares = [draws(ImageSampler(11, 4, 9, 5, rank, 2), epoch=2) for rank in range(2)]
    assert [first + second for first, second in zip(*shares, strict=True)] == whole


def test_shifts_are_uniform_and_orders_too():
    sampler = ImageSampler(10, 10, 4000, seed=0)
    batches = draws(sampler)
    shifts = np.array([[shift for _, _, shift in batch] for batch in batches])
    assert np.allclose(np.histogram(shifts, bins=10, range=(0, 1))[0] / shifts.size, 0.1, atol=0.01)
    firsts = np.bincount([batch[0][0] for batch in batches]) / len(batches)
    assert np.allclose(firsts, 0.1, atol=0.025)


def test_a_batch_that_cannot_be_shared():
    with pytest.raises(UsageError, match="--batch_size 5"):
        ImageSampler(10, 5, 1, 0, 0, 2)
