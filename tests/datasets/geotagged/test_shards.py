import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from commons.errors import PlacewiseError
from datasets import image_cache
from datasets.decoding import ImageFiles, read_image
from datasets.fingerprints import count_shared, fingerprints
from datasets.geotagged import read_geotagged, shards
from datasets.image_cache import cached_images
from datasets.reading import read_images
from tests.datasets.geotagged.pictures import jpeg, touch, write_shard


def two_shards(folder: Path) -> Path:
    here = {"lat": 1.5, "lon": 2.5, "Country": "DK", "creator_username": 7, "caption": "a street"}
    write_shard(folder / "train-0.tar", {"a.jpg": jpeg(0), "a.json": here, "b.json": here, "b.jpg": jpeg(1)})
    write_shard(
        folder / "train-1.tar", {"x/a.jpeg": jpeg(2), "x/a.txt": "55.5, -9.5\n", "c.jpg": jpeg(3), "c.cls": "1"}
    )
    return folder


def test_photos_and_what_is_known_of_them(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    photos = read_geotagged(two_shards(tmp_path / "d" / "shards").parent, cache=tmp_path / "cache")
    names = ("train-0.tar/a.jpg", "train-0.tar/b.jpg", "train-1.tar/x/a.jpeg", "train-1.tar/c.jpg")
    assert photos.places.names.to_pylist() == [f"shards/{name}" for name in names]
    assert photos.latitude.tolist()[:3] == [1.5, 1.5, 55.5] and photos.longitude.tolist()[:3] == [2.5, 2.5, -9.5]
    assert np.isnan(photos.latitude[3])
    assert photos.labels["country"].to_pylist() == ["DK", "DK", None, None]
    assert photos.labels["user"].to_pylist() == ["7", "7", None, None]
    assert list(photos.labels) == ["country", "user"]
    assert "1 of 4 photos have no position" in caplog.text


@pytest.mark.parametrize("cache", ["none", "disk", "ram"])
def test_images_are_those_of_files(tmp_path: Path, cache: str):
    photos = read_geotagged(two_shards(tmp_path / "d"), cache=tmp_path / "cache")
    touch(tmp_path / "files", *(f"{number}.jpg" for number in range(4)))
    rows = np.array([3, 0, 2])
    images = cached_images(pickle.loads(pickle.dumps(photos.take(rows).places)), 32, cache, tmp_path / "cache")
    for place, row in enumerate(rows):
        assert torch.equal(images.read(place), read_image(tmp_path / f"files/{row}.jpg", 32))


def test_a_pack_is_made_again_when_an_archive_changes(tmp_path: Path):
    folder, cache = two_shards(tmp_path / "d"), tmp_path / "cache"
    places = read_geotagged(folder, cache=cache).places
    assert image_cache._stat(places)[0].tolist() == [len(jpeg(number)) for number in range(4)]
    cached_images(places, 32, "disk", cache)
    first = sorted(cache.glob("*.pack"))
    os.utime(folder / "train-0.tar", (1, 1))
    cached_images(places, 32, "disk", cache)
    assert sorted(cache.glob("*.pack")) != first


def test_fingerprints_are_those_of_files(tmp_path: Path):
    photos = read_geotagged(two_shards(tmp_path / "d"), cache=tmp_path / "cache")
    touch(tmp_path / "files", "0.jpg", "1.jpg")
    assert count_shared(photos.places, fingerprints(read_images(tmp_path / "files"))) == 2
    assert len(set(fingerprints(photos.places).tolist())) == 4


def test_the_index_is_read_again_until_the_shard_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder, cache = two_shards(tmp_path / "d"), tmp_path / "cache"
    first = read_geotagged(folder, cache=cache)
    scan, scanned = shards._scan, []
    monkeypatch.setattr(shards, "_scan", lambda shard: scanned.append(shard.name) or scan(shard))
    again = read_geotagged(folder, cache=cache)
    assert not scanned and again.places.names.equals(first.places.names)
    assert np.array_equal(again.places.members.offset, first.places.members.offset)
    write_shard(folder / "train-1.tar", {"new.jpg": jpeg(5), "new.json": {"latitude": 9, "longitude": 8}})
    assert read_geotagged(folder, cache=cache).latitude.tolist() == [1.5, 1.5, 9]
    assert scanned == ["train-1.tar"]
    for index in (cache / "shards").iterdir():
        index.write_bytes(b"torn")
    assert len(read_geotagged(folder, cache=cache)) == 3


def test_an_index_is_not_left_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def stop(table: object, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    folder, cache = two_shards(tmp_path / "d"), tmp_path / "cache"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shards.pa.parquet, "write_table", stop)
        read_geotagged(folder, cache=cache)
    assert not list((cache / "shards").iterdir())
    assert len(read_geotagged(folder, cache=cache)) == 4


def test_long_names_and_one_shard_alone(tmp_path: Path):
    key = "/".join(["long"] * 60)
    shard = write_shard(tmp_path / "one.tar", {f"{key}.jpg": jpeg(0), f"{key}.json": {"latitude": 3, "longitude": 4}})
    photos = read_geotagged(shard, cache=tmp_path / "cache")
    assert photos.places.names.to_pylist() == [f"one.tar/{key}.jpg"] and photos.latitude.tolist() == [3]
    assert ImageFiles(photos.places).read(0).shape == (3, 48, 64)


def test_an_archive_that_is_cut_later_is_an_unreadable_image(tmp_path: Path):
    shard = two_shards(tmp_path / "d") / "train-1.tar"
    images = ImageFiles(read_geotagged(tmp_path / "d", cache=tmp_path / "cache").places)
    with open(shard, "r+b") as stream:
        stream.truncate(images.places.source(3).offset + 100)
    images.read(2)
    with pytest.raises(OSError, match="train-1.tar ends before it"):
        images.read(3)


def test_images_that_repeat_a_name_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        for number in (0, 1):
            info = tarfile.TarInfo("a.jpg")
            info.size = len(jpeg(number))
            archive.addfile(info, io.BytesIO(jpeg(number)))
    assert len(read_geotagged(tmp_path, cache=tmp_path / "cache")) == 1
    assert "1 image(s) that repeat a name" in caplog.text


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"a.jpg": jpeg(0), "a.json": {"latitude": "north", "longitude": 1}}, "a: latitude north is not a number"),
        ({"a.jpg": jpeg(0), "a.json": {"latitude": 100, "longitude": 1}}, "swapped"),
        ({"a.json": {"latitude": 1, "longitude": 1}}, "hold no image"),
    ],
)
def test_wrong_shards_are_named(tmp_path: Path, members: dict, words: str):
    write_shard(tmp_path / "0.tar", members)
    with pytest.raises(PlacewiseError, match=words):
        read_geotagged(tmp_path, cache=tmp_path / "cache")


@pytest.mark.parametrize("damage", ["cut", "gzip", "text"])
def test_damaged_archives_are_named(tmp_path: Path, damage: str):
    shard = two_shards(tmp_path / "d") / "train-1.tar"
    if damage == "cut":
        data = shard.read_bytes()
        shard.write_bytes(data[: data.rindex(b"\xff\xd9") - 600])
    elif damage == "gzip":
        with tarfile.open(shard, "w:gz") as archive:
            archive.add(tmp_path / "d/train-0.tar", "a.jpg")
    else:
        shard.write_text("no archive " * 100)
    with pytest.raises(PlacewiseError, match="train-1.tar: is no complete tar file"):
        read_geotagged(tmp_path / "d", cache=tmp_path / "cache")
