import logging
from pathlib import Path

import pytest
from PIL import Image

from commons.errors import PlacewiseError
from datasets.listing import list_images
from datasets.reading import read_places
from tests.conftest import sf_name


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)


def test_extensions_in_any_case_and_nothing_else(tmp_path: Path):
    names = [sf_name(i, i, extension=e) for i, e in enumerate((".jpg", ".JPG", ".Jpeg", ".png", ".PNG", ".webp"))]
    touch(tmp_path, *names)
    (tmp_path / sf_name(9, 9, extension=".txt")).write_text("x")
    touch(
        tmp_path, f"._{names[0]}", f".ipynb_checkpoints/{names[0]}", f"__MACOSX/._{names[0]}", "folder.jpg/inside.jpg"
    )
    assert list_images(tmp_path) == sorted([*names, "folder.jpg/inside.jpg"])


def test_paths_file_replaces_the_search(tmp_path: Path):
    touch(tmp_path / "set", sf_name(1, 1), sf_name(2, 2))
    listing = tmp_path / "set_images_paths.txt"
    listing.write_text(sf_name(2, 2) + "\n\n")
    assert read_places(tmp_path / "set").utm_east.tolist() == [2]
    listing.write_text(sf_name(1, 1), encoding="utf-8-sig")  # as PowerShell writes
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "set")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "set").rename(tmp_path / "elsewhere" / "set")
    listing.rename(tmp_path / "link_images_paths.txt")
    assert read_places(tmp_path / "link").utm_east.tolist() == [1]
    listing = tmp_path / "elsewhere" / "set_images_paths.txt"
    (tmp_path / "link_images_paths.txt").rename(listing)
    assert read_places(tmp_path / "link").utm_east.tolist() == [1]
    listing.write_text("gone.jpg\n")
    with pytest.raises(PlacewiseError, match="set_images_paths.txt"):
        read_places(tmp_path / "link")


def test_current_folder_and_foreign_encodings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    touch(tmp_path / "set", sf_name(1, 1))
    monkeypatch.chdir(tmp_path / "set")
    assert len(read_places(".")) == 1
    (tmp_path / "set_images_paths.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlacewiseError, match="UTF-8"):
        read_places(".")


def test_images_of_other_types_are_counted_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    touch(tmp_path, *(f"{i}.jpg" for i in range(6)))
    for i in range(20):
        (tmp_path / f"IMG_{i}.HEIC").touch()
    for name in ("sub/a.tif", "notes.txt", "._b.heic", "places.xlsx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert len(list_images(tmp_path)) == 6
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{tmp_path}: left out: 20 .heic, 1 .tif (only .jpg, .jpeg, .png, .webp")


def test_a_folder_of_other_types_alone_says_so(tmp_path: Path):
    (tmp_path / "a.heic").touch()
    with pytest.raises(PlacewiseError, match="contains no image .*; left out: 1 .heic .*convert"):
        list_images(tmp_path)


def test_an_ordinary_folder_is_read_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    touch(tmp_path / "set", "a.jpg", "sub/b.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "set")
    assert list_images(tmp_path / "link") == ["a.jpg", "sub/b.jpg"]
    assert not caplog.records


@pytest.mark.parametrize("target", [".", "sub", ".."])
def test_links_back_to_a_folder_above_are_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, target: str
):
    """Of two ways to the same image only the one that leads round in circles is left out."""
    folder = tmp_path / "set"
    touch(folder, "a.jpg", "sub/b.jpg")
    (folder / "sub" / "again").symlink_to(folder / target)
    (folder / "beside").symlink_to(folder / "sub")
    found = list_images(folder)
    assert {"a.jpg", "sub/b.jpg", "beside/b.jpg"} <= set(found) and len(found) <= 8
    (record,) = caplog.records
    assert "link(s) to a folder above (" in record.getMessage() and "again" in record.getMessage()


def test_a_list_that_repeats_a_path_counts_it(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    touch(tmp_path / "set", "a.jpg", "sub/b.jpg")
    (tmp_path / "set_images_paths.txt").write_text("a.jpg\nsub\\b.jpg\nsub/b.jpg\n")
    assert list_images(tmp_path / "set") == ["a.jpg", "sub/b.jpg"]
    assert "1 line(s) that repeat a path" in caplog.text
    (tmp_path / "set_images_paths.txt").write_text("\n")
    with pytest.raises(PlacewiseError, match="lists no image"):
        list_images(tmp_path / "set")
