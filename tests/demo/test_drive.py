"""The drive through the demo city."""

import json
from pathlib import Path

import numpy as np
import pytest

from datasets.reading import read_places
from datasets.sequences import cut_windows, frames_of
from demo.city import make_city, street_clearance
from demo.drive import driving_line, plan_drive, route_crossings
from demo.sizes import AERIALS, SIZES, Drive, Plan
from demo.views import plan_views
from demo.write import demo_path, make_demo

TINY = Drive(Plan((3, 3), (1, 1), (1, 1)), (20.0, 30.0), ("day", "night"))


def test_the_route_passes_each_crossing_once_along_streets():
    drive = SIZES["demo-drive"]
    city = make_city(drive.plan, 0)
    crossings = route_crossings(city, drive.plan.test)
    assert len(np.unique(crossings, axis=0)) == len(crossings) == 12
    ends = {tuple(sorted(map(tuple, pair))) for pair in zip(city.streets["a"], city.streets["b"], strict=True)}
    assert all(tuple(sorted(map(tuple, pair))) in ends for pair in zip(crossings, crossings[1:], strict=False))


def test_the_car_keeps_to_the_right():
    line = driving_line(np.array([[0.0, 0.0], [0.0, 100.0], [100.0, 100.0]]))
    assert line[200] == pytest.approx([1.8, 50.0]) and line[600] == pytest.approx([50.0, 98.2])
    assert np.linalg.norm(np.diff(line, axis=0), axis=1).max() < 0.5


def test_two_drives_along_one_route():
    drive = SIZES["demo-drive"]
    city = make_city(drive.plan, 0)
    views = plan_drive(city, drive, 0)
    assert min(street_clearance(city, view.camera.position) for view in views) > 1
    folders = ("test/database/day", "test/queries/night")
    parts = {folder: [view for view in views if view.folder == folder] for folder in folders}
    assert [len(part) for part in parts.values()] == [116, 73]
    for spacing, part in zip(drive.spacing, parts.values(), strict=True):
        assert [view.frame for view in part] == list(range(len(part)))
        steps = np.linalg.norm(np.diff([view.camera.position for view in part], axis=0), axis=1)
        assert np.median(steps) == pytest.approx(spacing, abs=0.1) and steps.max() <= spacing + 0.1
    day, night = (np.array([view.camera.position for view in part]) for part in parts.values())
    assert np.linalg.norm(day[None] - night[:, None], axis=2).min(axis=1).max() < 5
    # It is the quarter that the demo's network has not seen.
    seen = np.array([view.camera.position for view in plan_views(city, SIZES["demo"], 0) if view.folder == "train"])
    assert np.linalg.norm(seen[None] - day[:, None], axis=2).min() > 50


def test_a_drive_on_disk_is_two_sequences(tmp_path, monkeypatch):
    monkeypatch.setitem(SIZES, "tiny-drive", TINY)
    folder = make_demo(tmp_path / "drive", "tiny-drive", workers=1)
    marker = json.loads((folder / "demo.json").read_text())
    assert not (folder / "val").exists() and not (folder / "train").exists()
    for part, count in marker["images"].items():
        places = read_places(folder / part.rpartition("/")[0])
        assert len(places) == count
        assert len(set(places.timestamp.to_pylist())) == 1
        frames = frames_of(places)
        assert sorted(frames.frame) == list(range(count)) and set(frames.sequence) == {0}
        assert len(cut_windows(frames, 3, np.arange(count), "x")) == count - 2


def test_a_drive_through_the_city_of_demo_aerial():
    drive, aerial = SIZES["demo-aerial-drive"], AERIALS["demo-aerial"]
    assert drive.plan == aerial.plan
    views = [view for view in plan_drive(make_city(drive.plan, 0), drive, 0) if view.folder == "test/queries/overcast"]
    place = np.array([view.camera.position for view in views])
    assert len(views) == 156 and np.linalg.norm(np.diff(place, axis=0), axis=1).sum() == pytest.approx(1550, abs=50)


@pytest.mark.slow
def test_paths_in_a_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(SIZES, "demo-aerial-drive", TINY)
    found = demo_path("demo-aerial-drive/test/queries", tmp_path / "cache")
    assert found == str(tmp_path / "cache" / "demo-aerial-drive" / "test" / "queries") and Path(found).is_dir()
    assert demo_path("elsewhere/test", tmp_path) == "elsewhere/test" and demo_path("", tmp_path) == ""
