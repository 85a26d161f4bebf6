"""File names, folders, equal bytes for equal seeds, and no incomplete data sets."""

import json
import os
import re
import shutil

import pytest
import utm
from PIL import Image

from commons.errors import PlacewiseError
from demo import photos as photos_module
from demo import write as write_module
from demo.photos import image_name
from demo.sizes import SIZES, DemoSize, Plan
from demo.write import make_demo

TINY = DemoSize(Plan((3, 3), (1, 1), (1, 1)), 3, 2, 1, 2, 1, 1)
NAME = re.compile(
    r"@(\d{7}\.\d\d)@(\d{7}\.\d\d)@32@T@(\d{3}\.\d{5})@(\d{4}\.\d{5})@[A-Za-z0-9]{22}@@(\d{3})@@@@(\d{6})@([a-z]+)@\.jpg"
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(SIZES, "tiny", TINY)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "tiny", TINY)
        return make_demo(tmp_path_factory.mktemp("one") / "demo", "tiny", seed=3, workers=1)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_layout_and_marker(demo):
    marker = json.loads((demo / "demo.json").read_text())
    assert (marker["size"], marker["seed"], marker["classes"]) == ("tiny", 3, 3)
    assert marker["images"] == {
        "train": 6, "val/database": 4, "val/queries": 2, "test/database": 4, "test/queries": 1,
    }  # fmt: skip
    for folder, count in marker["images"].items():
        assert len(list((demo / folder).glob("*.jpg"))) == count


def test_names_parse_and_agree_with_utm(demo):
    for path in demo.rglob("*.jpg"):
        east, north, lat, lon, heading, month, _ = NAME.fullmatch(path.name).groups()
        assert utm.to_latlon(float(east), float(north), 32, "T") == pytest.approx((float(lat), float(lon)), abs=1e-5)
        assert 0 <= int(heading) < 360 and 1 <= int(month[4:]) <= 12
        assert len(path.name.split("@")) == 16
        assert Image.open(path).size == (320, 320)


def test_image_name():
    name = image_name(396000.5, 4990000.25, 7, "abc", "202406", "day")
    assert re.fullmatch(r"@0396000\.50@4990000\.25@32@T@045\.0\d{4}@0007\.6\d{4}@abc@@007@@@@202406@day@\.jpg", name)


@pytest.mark.slow
def test_same_bytes_with_two_workers(demo, tmp_path):
    assert contents(make_demo(tmp_path / "demo", "tiny", seed=3, workers=2)) == contents(demo)


def test_complete_demo_is_left_alone(demo, monkeypatch):
    monkeypatch.setattr(write_module, "make_city", lambda *_: pytest.fail("built again"))
    assert make_demo(demo, "tiny", seed=3) == demo


def test_other_demo_or_files_in_the_way(demo, tmp_path):
    with pytest.raises(PlacewiseError, match="another demo city"):
        make_demo(demo, "tiny", seed=4)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(PlacewiseError, match="not a demo city"):
        make_demo(tmp_path, "tiny")
    with pytest.raises(PlacewiseError, match="demo-large"):
        make_demo(tmp_path / "new", "huge")


@pytest.mark.slow
def test_an_interrupted_run_leaves_nothing(demo, tmp_path, monkeypatch):
    folder = tmp_path / "demo"
    with monkeypatch.context() as patch:
        patch.setattr(photos_module, "write_view", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            make_demo(folder, "tiny", seed=3, workers=1)
    assert list(tmp_path.iterdir()) == []
    make_demo(folder, "tiny", seed=3, workers=1)
    assert contents(folder) == contents(demo)


@pytest.mark.slow
def test_what_a_killed_run_left_is_removed(demo, tmp_path):
    old, new, other = (tmp_path / name for name in (".demo-abcd_123", ".demo-efgh4567", ".demo-large-abcd_123"))
    for folder in (old, new, other):
        (folder / "demo").mkdir(parents=True)
    for folder in (old, other):
        os.utime(folder, (0, 0))
    make_demo(tmp_path / "demo", "tiny", seed=3, workers=1)
    assert not old.exists() and new.exists() and other.exists()


@pytest.mark.slow
def test_of_two_runs_at_once_both_have_the_demo(demo, tmp_path, monkeypatch):
    """The other one is done while this one writes."""
    folder, write_view = tmp_path / "demo", photos_module.write_view

    def meanwhile(*given):
        if not folder.exists():
            shutil.copytree(demo, folder)
        return write_view(*given)

    monkeypatch.setattr(photos_module, "write_view", meanwhile)
    make_demo(folder, "tiny", seed=3, workers=1)
    assert contents(folder) == contents(demo)
    assert list(tmp_path.iterdir()) == [folder]
