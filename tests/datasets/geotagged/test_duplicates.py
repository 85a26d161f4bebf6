import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy.fft import dct

from datasets.geotagged import duplicates, find_duplicates, read_geotagged
from datasets.places import Places
from datasets.reading import read_images
from tests.datasets.geotagged.pictures import jpeg, picture, write_shard


def save(folder: Path, **pictures: Image.Image | bytes) -> Places:
    folder.mkdir()
    for name, image in pictures.items():
        if isinstance(image, bytes):
            (folder / f"{name}.jpg").write_bytes(image)
        else:
            image.save(folder / f"{name}.jpg", quality=60)
    return read_images(folder)


def training(folder: Path) -> Places:
    return save(folder / "train", **{f"n{number:02d}": jpeg(number) for number in range(20)})


def test_copies_and_changed_copies_are_found_with_their_originals(tmp_path: Path):
    known = training(tmp_path)
    large = picture(5).resize((256, 192))
    test = save(
        tmp_path / "test",
        a_copy=jpeg(3),
        b_quality=picture(4),
        c_larger=large,
        d_brighter=ImageEnhance.Brightness(picture(6)).enhance(1.2),
        e_cut=large.crop((1, 1, 254, 191)),
        f_grey=picture(7).convert("L"),
        g_other=picture(40),
        h_mirrored=picture(8).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    )
    found = find_duplicates(test, known)
    assert found.exact.tolist() == [[0, 3]]
    assert found.near.tolist() == [[1, 4], [2, 5], [3, 6], [4, 5], [5, 7]]
    assert (found.correlation >= 0.96).all()
    assert (found.unreadable, found.plain) == (0, 0)
    lines = found.lines(test, known, examples=1)
    assert lines[0] == "1 of 8 test photos are training photos, and 5 look like one (75.00% together)"
    assert lines[1].startswith("same file: ") and lines[1].endswith("n03.jpg")
    assert len(lines) == 3


def test_unreadable_and_plain_photos_are_counted_not_compared(tmp_path: Path):
    fog = Image.new("RGB", (64, 48), (128, 128, 128))
    known = save(tmp_path / "train", fog=fog, torn=b"\xff\xd8 torn", good=jpeg(0))
    test = save(tmp_path / "test", fog=Image.new("RGB", (64, 48), (130, 130, 130)), good=picture(0))
    found = find_duplicates(test, known)
    assert (found.unreadable, found.plain) == (1, 2)
    assert found.near.tolist() == [[1, 1]] and not len(found.exact)
    assert "1 photos that cannot be decoded, 2 without contrast" in found.lines(test, known)[1]


def test_photos_that_are_gone_are_nobodys(tmp_path: Path):
    known, test = training(tmp_path), save(tmp_path / "test", a=jpeg(1))
    (tmp_path / "test/a.jpg").unlink()
    (tmp_path / "train/n01.jpg").unlink()
    found = find_duplicates(test, known)
    assert not len(found.exact) and not len(found.near) and found.unreadable == 2


def test_photos_in_archives_are_compared_with_files(tmp_path: Path):
    write_shard(tmp_path / "shards/0.tar", {"x.jpg": jpeg(2), "y.jpg": jpeg(99)})
    photos = read_geotagged(tmp_path / "shards", cache=tmp_path / "cache")
    assert find_duplicates(photos.places, training(tmp_path)).exact.tolist() == [[0, 2]]


def test_blocks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    known = training(tmp_path)
    test = save(tmp_path / "test", **{f"n{number:02d}": picture(number) for number in range(10, 25)})
    whole = find_duplicates(test, known)
    monkeypatch.setattr(duplicates, "BLOCK", 4)
    parts = find_duplicates(test, known)
    assert whole.near.tolist() == parts.near.tolist() == [[row, row + 10] for row in range(10)]


def test_signs_are_those_of_the_cosine_transform():
    grey = np.asarray(picture(0, (32, 32)).convert("L"))
    waves = dct(dct(grey.astype(float), axis=0), axis=1)[:8, :8].ravel()
    expected = waves > np.median(waves[1:])
    expected[0] = False
    assert np.unpackbits(duplicates._signs(grey.reshape(1, -1))[0]).astype(bool).tolist() == expected.tolist()


def test_upright_copies_of_turned_photos_are_found(tmp_path: Path):
    known = training(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    stream = io.BytesIO()
    picture(9).transpose(Image.Transpose.ROTATE_90).save(stream, "JPEG", exif=exif)
    assert find_duplicates(save(tmp_path / "test", a=stream.getvalue()), known).near.tolist() == [[0, 9]]


def test_equal_signs_alone_are_no_duplicates():
    draw = np.random.default_rng(0)
    grey = draw.integers(0, 256, (3, 1024), np.uint8)
    there = np.ones(2, bool)
    sought = duplicates._Looks(np.arange(2), np.zeros((2, 8), np.uint8), grey[:2], there, there)
    known = duplicates._Looks(np.arange(2), np.zeros((2, 8), np.uint8), grey[1:], there, there)
    pairs, correlation = duplicates._near(sought, known, np.arange(2))
    assert pairs.tolist() == [[1, 0]] and correlation == pytest.approx([1.0])
