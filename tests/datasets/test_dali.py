"""Decoding by NVIDIA DALI on the CPU, and the choice of it; its GPU pipeline is measured by benchmarks.gpu."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from commons.errors import ArgumentError
from datasets import dali
from datasets.dali import DaliBatches, DaliPipeline, has_dali, takes_dali
from datasets.decoding import ImageFiles, decode, read_bytes
from datasets.reading import read_places
from datasets.samplers import Draw
from datasets.train_dataset import square, to_device, train_loader
from datasets.unlabelled import ImageSampler
from tests.conftest import sf_name

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
needs_dali = pytest.mark.skipif(not has_dali(), reason="needs nvidia-dali")


def write(path: Path, size: tuple[int, int], seed: int = 0) -> Path:
    """Writes a smooth picture."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 255, (5, 6, 3), dtype=np.uint8))
    coarse.resize(size, Image.Resampling.BICUBIC).save(path, quality=92)
    return path


@needs_dali
@pytest.mark.parametrize("size", [(120, 80), (80, 120), (64, 64), (90, 63), (50, 40)])
def test_squares_are_those_of_the_usual_loader_up_to_rounding(tmp_path: Path, size: tuple[int, int]):
    data, shifts = read_bytes(write(tmp_path / "a.jpg", size)), [0.0, 0.3, 0.9]
    pipeline = DaliPipeline(48, 4, CPU, 1)
    pipeline.start([data] * 3, shifts)
    found = pipeline.finish()
    assert found.shape == (3, 3, 48, 48) and found.dtype == torch.uint8
    for image, shift in zip(found, shifts, strict=True):
        apart = (image.int() - square(decode(data, 48), 48, Draw(0, 0, shift)).int()).abs().float()
        assert apart.mean() < 1 and apart.max() < 12
    assert size[0] == size[1] or (found[0].int() - found[2].int()).abs().float().mean() > 2  # the windows differ


def folder_of(tmp_path: Path, count: int) -> Path:
    for number in range(count):
        write(tmp_path / sf_name(548_000 + 20 * number, 4_180_000), (70 + number, 60), number)
    return tmp_path


def batches(folder: Path, iterations: int, usual: bool = False) -> tuple[object, ImageSampler]:
    source = ImageFiles(read_places(folder), 48)
    sampler = ImageSampler(len(source.places), 4, iterations, seed=0)
    loader = train_loader(source, sampler, 0, False, CPU)
    return (loader if usual else DaliBatches(loader, 48, 4, CPU, 1)), sampler


@needs_dali
def test_batches_are_those_of_the_usual_loader_whatever_lies_between_the_jpegs(tmp_path: Path):
    files = sorted(folder_of(tmp_path, 9).glob("*.jpg"))
    Image.open(files[2]).save(files[2].with_suffix(".png"))
    files[2].unlink()
    files[5].write_bytes(b"no image")
    files[7].write_bytes(files[7].read_bytes()[:-40])  # torn
    data = files[8].read_bytes()
    table = data.index(b"\xff\xc4") + 5
    files[8].write_bytes(data[:table] + b"\xff" * 16 + data[table + 16 :])  # a whole JPEG with a wrong Huffman table
    (ours, _), (usual, _) = batches(tmp_path, 5), batches(tmp_path, 5, usual=True)
    for _ in range(2):
        pairs = list(zip(ours, usual, strict=True))
        assert len(pairs) == 5
        for (images, labels, failures), undecoded in pairs:
            expected, wanted, reasons = to_device(undecoded, 48, CPU)
            assert labels.tolist() == wanted.tolist() and failures == reasons
            assert (images.int() - expected.int()).abs().sum() <= expected.numel()


@needs_dali
def test_an_epoch_that_was_left_early_leaves_nothing_behind(tmp_path: Path):
    ours, sampler = batches(folder_of(tmp_path, 6), 5)
    whole = [labels.tolist() for _, labels, _ in ours]
    next(iter(ours))
    sampler.set_epoch([], 0, start=2)
    rest = list(ours)
    assert [labels.tolist() for _, labels, _ in rest] == whole[2:]
    sampler.set_epoch([], 0)
    assert torch.equal(list(ours)[2][0], rest[0][0])


def test_the_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    source = ImageFiles(read_places(folder_of(tmp_path, 2)), 48)
    monkeypatch.setattr(dali, "has_dali", lambda: False)
    assert not takes_dali("torch", source, CUDA, 1, None) and not takes_dali("auto", source, CUDA, 1, None)
    with pytest.raises(ArgumentError, match="`loader`: dali needs a package that is not installed: pip install nvidia"):
        takes_dali("dali", source, CPU, 1, None)

    monkeypatch.setattr(dali, "has_dali", lambda: True)
    assert not takes_dali("auto", source, CPU, 1, CPU)  # never on a CPU
    monkeypatch.setattr(dali, "time_decoding", lambda *_: (0.004, 0.002))
    caplog.set_level(logging.INFO)
    for seconds, decoder, expected in ((0.003, None, True), (0.003, CUDA, False), (0.001, CUDA, True)):
        monkeypatch.setattr(dali, "time_dali", lambda *_, seconds=seconds: seconds)
        assert takes_dali("auto", source, CUDA, 1, decoder) is expected
    assert "DALI is not used: 3.00 ms per image, and 2.00 without it" in caplog.text

    def broken(*_: object) -> float:
        raise RuntimeError("no driver\nat all")

    monkeypatch.setattr(dali, "time_dali", broken)
    assert takes_dali("auto", source, CUDA, 1, None) is False
    with pytest.raises(ArgumentError, match=r"dali does not work here \(no driver\); use torch"):
        takes_dali("dali", source, CUDA, 1, None)
