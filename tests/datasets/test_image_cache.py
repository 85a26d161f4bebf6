import logging
import os
import pickle
import time
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import BinaryIO

import numpy as np
import psutil
import pytest
import torch

from commons import files
from commons.errors import PlacewiseError
from datasets import image_cache
from datasets.decoding import ImageFiles
from datasets.image_cache import CachedImages, cached_images
from datasets.reading import read_places
from tests.conftest import sf_name, write_picture

SIZES = [
    ((64, 64), ".jpg"),
    ((90, 70), ".png"),
    ((200, 160), ".jpg"),
    ((170, 200), ".png"),
    ((33, 40), ".jpg"),
    ((250, 33), ".jpg"),
]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Images that a pack at 32 pixels keeps as bytes and as pixels, one torn."""
    draw = np.random.default_rng(0)
    for number, (size, extension) in enumerate(SIZES):
        write_picture(tmp_path / "photos" / sf_name(number, 0, extension=extension), number, draw, size)
    (tmp_path / "photos" / sf_name(len(SIZES), 0)).write_bytes(b"\xff\xd8 torn")
    return tmp_path / "photos"


def packs(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def assert_same_images(cached: ImageFiles, files: ImageFiles) -> None:
    for row in range(len(SIZES)):
        assert torch.equal(cached.read(row), files.read(row))
    with pytest.raises(OSError) as ours:
        cached.read(len(SIZES))
    with pytest.raises(OSError) as theirs:
        files.read(len(SIZES))
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("cache", ["disk", "ram"])
@pytest.mark.parametrize("shorter_side", [None, 32])
def test_tensors_are_those_of_the_files(photos: Path, tmp_path: Path, cache: str, shorter_side: int | None):
    places = read_places(photos)
    files = ImageFiles(places, shorter_side)
    assert cached_images(places, shorter_side, "none", tmp_path / "cache").load(0).ndim == 1
    for _ in ("made", "found"):
        cached = cached_images(places, shorter_side, cache, tmp_path / "cache")
        assert_same_images(cached, files)
        kept_as_pixels = [cached.load(row).ndim == 3 for row in range(len(SIZES))]
        assert kept_as_pixels == [False, True, True, True, False, False] if shorter_side else not any(kept_as_pixels)
    sent_to_a_worker = pickle.loads(ForkingPickler.dumps(cached))
    assert_same_images(sent_to_a_worker, files)


def test_an_image_that_cannot_be_read_fails_as_its_file(photos: Path, tmp_path: Path):
    places = read_places(photos)
    places.path(1).unlink()
    cached = cached_images(places, 32, "disk", tmp_path / "cache")
    with pytest.raises(FileNotFoundError):
        cached.read(1)


def test_blocks_of_memory(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Images never straddle blocks, and one larger than a block has its own."""
    monkeypatch.setattr(image_cache, "BLOCK", 4000)
    places = read_places(photos)
    cached = cached_images(places, 32, "ram", tmp_path)
    assert len(cached.pack.blocks) > 2
    assert_same_images(cached, ImageFiles(places, 32))


def test_changed_files_make_a_new_pack(photos: Path, tmp_path: Path):
    places, folder = read_places(photos), tmp_path / "cache"
    cached_images(places, 32, "disk", folder)
    (first,) = packs(folder)
    made = first.stat().st_mtime_ns
    cached_images(places, 32, "disk", folder)
    assert first.stat().st_mtime_ns == made
    os.utime(places.path(0), ns=(0, 0))
    cached_images(places, 32, "disk", folder)
    (second,) = packs(folder)
    assert second != first
    write_picture(places.path(0), 9, np.random.default_rng(1), (64, 64))
    os.utime(places.path(0), ns=(0, 0))
    cached = cached_images(places, 32, "disk", folder)
    (third,) = packs(folder)
    assert third != second
    assert_same_images(cached, ImageFiles(places, 32))
    cached_images(places, None, "disk", folder)
    cached_images(places.take(np.arange(3)), 32, "disk", folder)
    assert len(packs(folder)) == 2
    assert third not in packs(folder)


def test_pickles_small(tmp_path: Path, city: Path):
    places = read_places(city / "train")
    cached = cached_images(places, None, "disk", tmp_path)
    with_cache, without = (len(pickle.dumps(source)) for source in (cached, ImageFiles(places)))
    assert with_cache - without < 500 < cached.pack.path.stat().st_size


@pytest.mark.parametrize("place", ["entry", "index", "footer", "end", "nothing left"])
def test_a_damaged_pack_is_named(photos: Path, tmp_path: Path, place: str):
    places = read_places(photos)
    cached = cached_images(places, 32, "disk", tmp_path / "cache")
    path, content = cached.pack.path, bytearray(cached.pack.path.read_bytes())
    position = {"entry": 100, "index": -60, "footer": -1}.get(place, 0)
    content[position] ^= 1
    content = {"end": content[:-1], "nothing left": b""}.get(place, content)
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(PlacewiseError, match=f"{path.name}.*delete this file"):
        cached_images(places, 32, "disk", tmp_path / "cache").read(0)


def test_a_build_that_fails_leaves_nothing(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder, places = tmp_path / "cache", read_places(photos)

    def interrupted(self: ImageFiles, row: int) -> torch.Tensor:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ImageFiles, "load", interrupted)
        cached_images(places, 32, "disk", folder)
    assert packs(folder) == []
    with monkeypatch.context() as patch, pytest.raises(PlacewiseError, match="damaged"):
        patch.setattr(image_cache, "_index_entry", lambda data, offset: (offset, data.numel(), 0, 0, 1))
        cached_images(places, 32, "disk", folder)
    assert packs(folder) == []


def test_what_a_killed_build_left_is_removed(photos: Path, tmp_path: Path):
    folder, places = tmp_path / "cache", read_places(photos)
    pack = cached_images(places, 32, "disk", folder).pack.path
    killed, running = (folder / f".{pack.stem}-{name}.pack" for name in ("killed", "running"))
    for left in (killed, running):
        pack.rename(left) if pack.exists() else left.touch()
    os.utime(killed, (0, time.time() - 2 * files.ABANDONED))
    cached_images(places, 32, "disk", folder)
    assert packs(folder) == [running, pack]


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_full_disk(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str):
    def full(path: Path, mode: str) -> BinaryIO:
        return os.fdopen(os.open("/dev/full", os.O_WRONLY), mode)

    if when == "before":
        monkeypatch.setattr(image_cache.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    else:
        monkeypatch.setattr(image_cache, "open", full, raising=False)
    with pytest.raises(PlacewiseError, match="`cache_images`: .*disk needs at least 0.00 GB.*free some space"):
        cached_images(read_places(photos), 32, "disk", tmp_path / "cache")
    assert packs(tmp_path / "cache") == []


def test_too_little_memory(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Said before the first image is read."""
    monkeypatch.setattr(ImageFiles, "load", None)
    memory = psutil.virtual_memory()._replace(available=1000)
    monkeypatch.setattr(image_cache.psutil, "virtual_memory", lambda: memory)
    with pytest.raises(PlacewiseError, match="`cache_images`: ram needs at least.*use disk"):
        cached_images(read_places(photos), 32, "ram", tmp_path)


def test_the_log_says_where_images_come_from(photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    cached = cached_images(read_places(photos), 32, "disk", tmp_path / "cache")
    assert isinstance(cached, CachedImages)
    assert str(cached.pack.path) in caplog.text
