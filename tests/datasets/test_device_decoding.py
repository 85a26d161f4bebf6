import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from commons.errors import ArgumentError, PlacewiseError
from datasets import device_decoding
from datasets.decoding import ImageFiles, read_bytes, read_image
from datasets.device_decoding import choose_decoder, decode_jpegs, gpu_decodes, time_decoding
from datasets.reading import read_places
from tests.conftest import sf_name

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def save(path: Path, mode: str = "RGB", orientation: int | None = None) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 4), dtype=np.uint8)
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(pixels, "RGBA").convert("RGB").convert(mode).save(path, exif=exif)
    return path


@pytest.mark.parametrize(
    ("name", "mode", "orientation", "expected"),
    [
        ("a.jpg", "RGB", None, True),
        ("a.jpg", "RGB", 1, True),
        ("a.jpg", "L", None, True),
        ("a.jpg", "RGB", 6, False),
        ("a.jpg", "CMYK", None, False),
        ("a.png", "RGB", None, False),
    ],
)
def test_upright_jpegs_are_for_the_gpu(tmp_path: Path, name: str, mode: str, orientation: int | None, expected: bool):
    assert gpu_decodes(read_bytes(save(tmp_path / name, mode, orientation))) is expected


def test_damaged_headers_are_for_the_workers():
    for content in ([], [0xFF, 0xD8], [0xFF, 0xD8, 0xFF, 0xE0, 0, 16]):
        assert gpu_decodes(torch.tensor(content, dtype=torch.uint8)) is False


@pytest.mark.parametrize("cut", [2, 200])
def test_jpegs_without_their_end_are_for_the_workers(tmp_path: Path, cut: int):
    """They know whether image data is missing, too."""
    data = read_bytes(save(tmp_path / "a.jpg"))
    assert gpu_decodes(data) is True and gpu_decodes(data[:-cut]) is False


def test_jpegs_are_decoded_together_and_torn_ones_reported(tmp_path: Path):
    colour, grey = save(tmp_path / "a.jpg"), save(tmp_path / "b.jpg", "L")
    data = [read_bytes(colour), read_bytes(grey)]
    for image, path in zip(decode_jpegs(data, CPU), (colour, grey), strict=True):
        assert torch.equal(image, read_image(path))
    first, torn, last = decode_jpegs([data[0], data[0][:-200], data[1]], CPU)
    assert torch.equal(first, read_image(colour))
    assert torch.equal(last, read_image(grey))
    assert "truncated" in torn
    assert decode_jpegs([], CPU) == []


def test_nvjpeg_waits_for_what_is_under_way(monkeypatch: pytest.MonkeyPatch):
    """It writes where freed tensors lay that kernels may still read."""
    events = []
    stream = SimpleNamespace(synchronize=lambda: events.append("waited"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    monkeypatch.setattr(device_decoding, "decode_jpeg", lambda data, mode, device: events.append("decoded") or data)
    decode_jpegs([torch.zeros(1)], CUDA)
    assert events == ["waited", "decoded"]


def test_choice(city: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    source = ImageFiles(read_places(city / "train"), 32)
    assert choose_decoder("auto", source, CPU, 2) == CPU
    assert choose_decoder("auto", source, torch.device("mps"), 2) is None
    with pytest.raises(ArgumentError, match="`decode`: gpu.*on cpu"):
        choose_decoder("gpu", source, CPU, 2)
    assert not choose_decoder("cpu", source, CUDA, 2)
    # Whether this machine has a GPU or not:
    monkeypatch.setattr(device_decoding, "_nvjpeg_problem", lambda device: "no decoder")
    assert not choose_decoder("auto", source, CUDA, 2)
    assert "no decoder" in caplog.text
    with pytest.raises(PlacewiseError, match="no decoder.*use cpu"):
        choose_decoder("gpu", source, CUDA, 2)
    monkeypatch.setattr(device_decoding, "_nvjpeg_problem", lambda device: "")
    assert choose_decoder("gpu", source, CUDA, 2) == CUDA
    for times, chosen in (((0.002, 0.001), True), ((0.001, 0.002), False), (None, False)):
        monkeypatch.setattr(device_decoding, "time_decoding", lambda *_, found=times: found)
        assert choose_decoder("auto", source, CUDA, 2) == (CUDA if chosen else None)
    assert "on the GPU: 2.00 ms per image in the workers, 1.00" in caplog.text


def test_timing_leaves_out_what_a_gpu_cannot_decode(city: Path, tmp_path: Path):
    threads = torch.get_num_threads()
    cpu, device = time_decoding(ImageFiles(read_places(city / "train"), 32), CPU, 1)
    assert cpu > 0 and device > 0
    assert torch.get_num_threads() == threads
    save(tmp_path / sf_name(0, 0, extension=".png"))
    (tmp_path / sf_name(1, 0)).write_bytes(b"\xff\xd8 torn")
    assert time_decoding(ImageFiles(read_places(tmp_path), 32), CPU, 1) is None


def test_a_device_without_decoder_is_found_out():
    assert device_decoding._nvjpeg_problem(CPU) == ""
    assert device_decoding._nvjpeg_problem(torch.device("cuda", 99)) != ""
