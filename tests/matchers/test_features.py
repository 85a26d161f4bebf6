import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from matchers.features import KeypointCache
from matchers.matcher import Keypoints, Matcher


class Counting(Matcher):
    """The mean colour as the only keypoint; notes how often it is asked."""

    def __init__(self, features: str = "mean") -> None:
        self.features, self.asked = features, 0

    def extract(self, image: np.ndarray) -> Keypoints:
        self.asked += 1
        height, width = image.shape[:2]
        mean = image.reshape(-1, 3).mean(axis=0, keepdims=True).astype(np.float32)
        return Keypoints(mean[:, :2], mean, np.array([width, height], np.int32))

    def match(self, first: Keypoints, second: Keypoints) -> np.ndarray:
        return np.zeros((1, 2), np.int64)


def read(path: Path) -> np.ndarray:
    try:
        return np.asarray(Image.open(path).convert("RGB"))
    except ValueError as error:
        raise OSError(str(error)) from error


def picture(path: Path, colour: int, size: tuple[int, int] = (20, 30)) -> Path:
    Image.new("RGB", size, (colour, 0, 9)).save(path)
    return path


def cache(folder: Path, matcher: Counting | None = None, **options: object) -> KeypointCache:
    return KeypointCache(matcher or Counting(), folder / "keypoints", read, **options)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "keypoints").rglob("*.*"))


def test_each_image_is_worked_on_once_also_by_later_runs(tmp_path: Path):
    paths = [picture(tmp_path / f"{colour}.png", colour) for colour in (10, 20)]
    first = cache(tmp_path)
    assert list(first.fill(paths * 2, threads=0)) == paths * 2
    assert (first.extracted, first.matcher.asked) == (2, 2)
    later = cache(tmp_path)
    found = later.load(paths[1])
    assert (later.extracted, later.matcher.asked) == (0, 0)
    assert found.points.tolist() == [[20, 0]] and found.size.tolist() == [20, 30]
    assert found.points.dtype == np.float32 and found.size.dtype == np.int32


def test_keypoints_follow_the_image_the_matcher_and_the_size(tmp_path: Path):
    path = picture(tmp_path / "a.png", 10)
    assert cache(tmp_path).load(path).points[0, 0] == 10
    os.utime(picture(path, 30), ns=(5, 5))
    assert cache(tmp_path).load(path).points[0, 0] == 30
    for options in ({"matcher": Counting("other")}, {"reading": "smaller"}):
        own = cache(tmp_path, **options)
        own.load(path)
        assert own.extracted == 1
    assert len(files(tmp_path)) == 4


@pytest.mark.parametrize("damage", [b"", b"torn", None])
def test_a_damaged_file_is_written_again(tmp_path: Path, damage: bytes | None):
    path = picture(tmp_path / "a.png", 10)
    cache(tmp_path).load(path)
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    own = cache(tmp_path)
    assert own.load(path).points.tolist() == [[10, 0]]
    assert own.extracted == 1 and files(tmp_path) == [file]
    assert cache(tmp_path).load(path).points.tolist() == [[10, 0]]


def test_a_killed_writer_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = picture(tmp_path / "a.png", 10)

    def killed(stream: object, **arrays: np.ndarray) -> None:
        stream.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", killed)
    with pytest.raises(KeyboardInterrupt):
        cache(tmp_path).load(path)
    assert files(tmp_path) == []


def test_a_full_disk_is_not_taken_for_an_unreadable_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(stream: object, **arrays: np.ndarray) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        cache(tmp_path).load(picture(tmp_path / "a.png", 10))


def test_images_that_are_missing_damaged_or_tiny_have_no_keypoints(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "torn.png").write_bytes(b"no image")
    own = cache(tmp_path)
    for name in ("missing.png", "torn.png"):
        assert len(own.load(tmp_path / name).points) == 0
    assert [Path(message.split(": ")[0]).name for message in caplog.messages] == ["missing.png", "torn.png"]
    assert files(tmp_path) == []
    assert len(own.load(picture(tmp_path / "small.png", 1, (15, 200))).points) == 0
    assert len(own.load(picture(tmp_path / "enough.png", 1, (16, 200))).points) == 1
    assert own.matcher.asked == 1


def test_memory_is_bounded(tmp_path: Path):
    paths = [picture(tmp_path / f"{colour}.png", colour) for colour in range(1, 9)]
    size = 2 * 4 + 3 * 4 + 2 * 4
    own = cache(tmp_path, memory=3 * size)
    for path in paths:
        own.load(path)
    assert own._bytes == 3 * size and list(own._recent) == paths[-3:]
    own.load(paths[5])  # used again: it stays
    own.load(paths[0])
    assert list(own._recent) == [paths[7], paths[5], paths[0]]
    assert own.matcher.asked == 8
    nothing = cache(tmp_path, memory=0)
    assert nothing.load(paths[0]).points.tolist() == [[1, 0]] and not nothing._recent


def test_threads_share_a_cache(tmp_path: Path):
    paths = [picture(tmp_path / f"{colour}.png", colour) for colour in range(1, 30)]
    own = cache(tmp_path, memory=200)
    assert list(own.fill(paths, threads=4)) == paths
    assert own.matcher.asked == 29
    assert [own.load(path).points[0, 0] for path in paths] == list(range(1, 30))
    assert own._bytes <= 200
