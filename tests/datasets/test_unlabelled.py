from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from commons.errors import ArgumentError, PlacewiseError
from datasets.decoding import ImageFiles
from datasets.reading import read_images
from datasets.test_dataset import image_batches
from datasets.unlabelled import ImageSampler, ImageStream, SquareImages


def draws(sampler: ImageSampler, epoch: int = 0, start: int = 0) -> list[list[tuple[int, int, float]]]:
    sampler.set_epoch([], epoch, start)
    assert len(sampler) == len(batches := list(sampler))
    return batches


def test_pass_after_pass_without_a_gap():
    """7 images in batches of 3: 4 epochs of 7 batches are 12 passes, across the ends of batches and epochs."""
    sampler = ImageSampler(7, 3, 7, seed=0)
    rows = [row for epoch in range(4) for batch in draws(sampler, epoch) for row, *_ in batch]
    passes = np.reshape(rows, (12, 7))
    assert (np.sort(passes, axis=1) == np.arange(7)).all()
    assert len({tuple(order) for order in passes}) > 10


def test_a_batch_may_be_larger_than_the_set():
    (batch,) = draws(ImageSampler(3, 10, 1, seed=0))
    assert np.bincount([row for row, *_ in batch]).min() == 3
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
    shifts = np.array([[shift for _, _, shift, _ in batch] for batch in batches])
    assert np.allclose(np.histogram(shifts, bins=10, range=(0, 1))[0] / shifts.size, 0.1, atol=0.01)
    firsts = np.bincount([batch[0][0] for batch in batches]) / len(batches)
    assert np.allclose(firsts, 0.1, atol=0.025)


def test_a_batch_that_cannot_be_shared():
    with pytest.raises(ArgumentError, match="`batch_size`: 5"):
        ImageSampler(10, 5, 1, 0, 0, 2)


def test_middle_squares_in_a_seeded_order(tmp_path: Path):
    for number in range(6):
        pixels = np.zeros((20, 60 if number % 2 else 40, 3), np.uint8)
        pixels[:, pixels.shape[1] // 2 - 10 : pixels.shape[1] // 2 + 10] = 20 * number
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    source = SquareImages(read_images(tmp_path), 20, seed=1)
    ((rows, images),) = image_batches(source, 8, 0)
    shown = [int(image.unique()) // 20 for image in images]
    assert images.shape == (6, 3, 20, 20)
    assert sorted(shown) == list(range(6)) and shown != list(range(6))
    assert [source.places.path(row).stem for row in rows] == [str(number) for number in shown]
    assert SquareImages(read_images(tmp_path), [10, 30]).read(0).shape == (3, 10, 30)


def test_a_stream_gives_squares_epoch_by_epoch_and_says_what_it_cannot_decode(tmp_path: Path):
    draw = np.random.default_rng(0)
    for number in range(200):
        Image.fromarray(draw.integers(0, 255, (16, 24, 3), np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "7.png").write_bytes(b"torn")
    source = ImageFiles(read_images(tmp_path), 16)
    stream = ImageStream(source, ImageSampler(200, 50, 4, seed=0), 0, torch.device("cpu"))
    stream.begin_epoch(1)
    whole = [next(stream) for _ in range(4)]
    assert {tuple(batch.shape) for batch in whole} == {(50, 3, 16, 16)}
    assert [Path(path).name for path in stream.unreadable.paths] == ["7.png"]
    stream.begin_epoch(1, start=2)
    assert torch.equal(next(stream), whole[2])
    for image in tmp_path.iterdir():
        image.write_bytes(b"torn")
    stream.begin_epoch(0)
    with pytest.raises(PlacewiseError, match="cannot be decoded"):
        next(stream)
