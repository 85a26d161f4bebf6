"""What is read of uploads, and what is refused."""

import io
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.decoding import decode
from tests.web.hostile import png
from tests.web.serving import photo
from web.uploads import MOST_SIDE, PhotoLimits, RefusedUpload, read_photo


def status_of(data: bytes, **limits: int) -> int:
    with pytest.raises(RefusedUpload) as refused:
        read_photo(data, PhotoLimits(**limits), 64)
    return refused.value.status


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("size", [(96, 80), (400, 300), (150, 700)])
@pytest.mark.parametrize("shorter_side", [64, (64, 48), None])
def test_pixels_are_those_of_localize(kind: str, size: tuple[int, int], shorter_side):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    data = photo(kind, size, exif=exif)
    own = read_photo(data, PhotoLimits(), shorter_side)
    wanted = decode(torch.frombuffer(bytearray(data), dtype=torch.uint8), shorter_side)
    assert own.shape == wanted.shape
    assert (own.int() - wanted.int()).abs().max() <= 3  # two decoders of JPEG differ by rounding


def test_photos_that_keep_their_size_have_a_largest_one():
    own = read_photo(photo("PNG", (4000, 1000)), PhotoLimits(), None)
    assert own.shape == (3, MOST_SIDE // 4, MOST_SIDE)


def test_each_limit():
    assert status_of(b"") == 422
    assert status_of(b"no photo") == 415
    assert status_of(photo("GIF")) == 415
    assert status_of(photo(size=(31, 100))) == 422
    assert status_of(photo(size=(2000, 150))) == 422
    assert status_of(photo(size=(100, 100)), max_pixels=9_999) == 413
    assert read_photo(photo(size=(100, 100)), PhotoLimits(max_pixels=10_000), 64).shape == (3, 64, 64)
    assert status_of(photo("PNG", (100, 100)), max_pixels=19_999) == 413
    assert read_photo(photo("PNG", (100, 100)), PhotoLimits(max_pixels=20_000), 64).shape == (3, 64, 64)
    assert status_of(png(30_000, 30_000)) == 413
    assert status_of(photo()[:-200]) == 422


def test_a_jpeg_with_many_scans_is_refused_before_it_is_decoded():
    data = photo(progressive=True)
    start = data.index(b"\xff\xda")
    end = start + 2 + struct.unpack(">H", data[start + 2 : start + 4])[0]
    assert read_photo(data, PhotoLimits(), 64).shape[0] == 3
    assert status_of(data[:end] + data[start:end] * 100 + data[end:]) == 422


def test_the_position_in_exif_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (52.0, 0.0, 0.0), 3: "E", 4: (7.0, 0.0, 0.0)}
    asked = []
    own = Image.Exif.get_ifd
    monkeypatch.setattr(Image.Exif, "get_ifd", lambda exif, tag: asked.append(tag) or own(exif, tag))
    with_gps = read_photo(photo(exif=exif), PhotoLimits(), 64)
    assert 0x8825 in Image.open(io.BytesIO(photo(exif=exif))).getexif()
    assert np.array_equal(with_gps, read_photo(photo(), PhotoLimits(), 64))
    assert 0x8825 not in asked
