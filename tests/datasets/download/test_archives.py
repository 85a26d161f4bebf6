import os
import stat
import zipfile
from pathlib import Path

import pytest

from commons.errors import PlacewiseError
from datasets.download import disk
from datasets.download.archives import unpack


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def unpacked(archive: Path, folder: Path) -> list[str]:
    folder.mkdir()
    unpack(archive, folder)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_files_come_out_as_they_went_in(tmp_path: Path):
    files = {
        "set/": b"",
        "set/a.jpg": b"a" * 5_000_000,
        "set\\sub\\b.jpg": b"b",
        "__MACOSX/set/._a.jpg": b"x",
        "._c": b"",
    }
    archive = make_zip(tmp_path / "set.zip", files)
    assert unpacked(archive, tmp_path / "out") == ["set/a.jpg", "set/sub/b.jpg"]
    assert (tmp_path / "out/set/a.jpg").read_bytes() == b"a" * 5_000_000


@pytest.mark.parametrize("name", ["../out.txt", "set/../../out.txt", "/tmp/out.txt", "C:/out.txt", "..\\out.txt"])
def test_names_that_lead_out_are_refused_before_anything_is_written(tmp_path: Path, name: str):
    archive = make_zip(tmp_path / "set.zip", {"set/a.jpg": b"a", name: b"bad"})
    with pytest.raises(PlacewiseError, match="a path outside of the folder; not unpacked"):
        unpacked(archive, tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["out", "set.zip"] and not os.listdir(tmp_path / "out")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int):
    link = zipfile.ZipInfo("set/link")
    link.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("set/a.jpg", b"a")
        archive.writestr(link, "/etc")
    with pytest.raises(PlacewiseError, match="set/link', a link or device; not unpacked"):
        unpacked(tmp_path / "set.zip", tmp_path / "out")
    assert not os.listdir(tmp_path / "out")


def test_names_that_repeat_are_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.jpg", b"1")
        archive.writestr("a.jpg", b"2")
    with pytest.raises(PlacewiseError, match="two files with the same name"):
        unpacked(tmp_path / "set.zip", tmp_path / "out")


def test_damage_is_one_line(tmp_path: Path):
    content = bytearray(make_zip(tmp_path / "set.zip", {"a.jpg": b"photo" * 1000}).read_bytes())
    content[200] ^= 1
    (tmp_path / "flipped.zip").write_bytes(content)
    (tmp_path / "cut.zip").write_bytes(content[:-100])
    (tmp_path / "page.zip").write_text("<html>")
    for name, words in (("flipped", "Bad CRC-32"), ("cut", "not a zip file"), ("page", "not a zip file")):
        with pytest.raises(PlacewiseError, match=f"{name}.zip: is damaged or not a zip file .*{words}.*; remove it"):
            unpacked(tmp_path / f"{name}.zip", tmp_path / name)


def test_room_is_checked_before_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = make_zip(tmp_path / "set.zip", {"a.jpg": b"a" * 1_000_000, "b.jpg": b"b" * 1_000_000})
    usage = disk.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage._replace(free=1_999_999))
    with pytest.raises(PlacewiseError, match="`folder`: .* has 2.0 MB left, and the 2 files of .*set.zip need 2.0 MB"):
        unpacked(archive, tmp_path / "out")
    assert not os.listdir(tmp_path / "out")
