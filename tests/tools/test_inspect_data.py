import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure
from PIL import Image

from commons.errors import PlacewiseError
from datasets.places import Places, make_places
from demo import SIZES
from demo.city import Plan
from demo.views import DemoSize
from tests.conftest import sf_name, write_picture
from tools import inspect_data
from tools.inspect_data import draw_map, main, table_lines, unwrapped


def inspect(*flags: object) -> None:
    sys.argv = ["inspect_data", *map(str, flags)]
    main()


@pytest.fixture(autouse=True)
def arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [])


def places(**columns: list[float]) -> Places:
    size = len(next(iter(columns.values())))
    arrays = {name: np.array(values, dtype=float) for name, values in columns.items()}
    return make_places(Path("."), pa.array([f"{i}.jpg" for i in range(size)]), **arrays)


def test_the_tiny_city(city: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    """8 classes of 4 images, 50 m apart and 10 m wide; 6 places in each database and as many queries."""
    picture = tmp_path / "city.png"
    flags = ("--M", 10, "--alpha", 30, "--N", 5, "--L", 2, "--min_images_per_class", 4)
    inspect(city, "--output", picture, *flags)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines[1:6]] == [
        ["train", "32", "32", "32"],
        ["val/database", "6", "6", "6"],
        ["val/queries", "6", "6", "6"],
        ["test/database", "6", "6", "6"],
        ["test/queries", "6", "6", "6"],
    ]
    assert "  250 m x 0 m " in lines[2] and lines[2].endswith(" 10N")
    assert "(0, 0, 0)                 8       32  4, 4, 4" in lines
    assert lines[-1] == f"Plot: {picture}"
    with Image.open(picture) as image:
        assert image.size == (1800, 600)
        left = np.asarray(image.convert("RGB"))[:, :600]
    for colour in ((31, 119, 180), (255, 127, 14)):  # of the first two folders
        assert (np.abs(left.astype(int) - colour).max(axis=2) < 10).any()


@pytest.mark.slow
def test_a_demo_city_is_made_at_first_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(inspect_data, "CACHE", tmp_path / "cache")
    monkeypatch.setitem(SIZES, "demo", DemoSize(Plan((3, 3), (1, 1), (1, 1)), 3, 2, 1, 2, 1, 1))
    inspect("demo", "--output", tmp_path / "demo.png", "--min_images_per_class", 1)
    assert (tmp_path / "cache" / "demo" / "demo.json").is_file() and (tmp_path / "demo.png").is_file()
    out = capsys.readouterr().out
    assert "train                     6        6        6" in out and " 32N" in out


def test_a_folder_of_images_without_positions(tmp_path: Path, capsys: pytest.CaptureFixture):
    write_picture(tmp_path / "photos" / "a.jpg", 0, np.random.default_rng(0))
    inspect(tmp_path / "photos", "--output", tmp_path / "a.png")
    out = capsys.readouterr().out
    assert "photos                    1        0        0  -" in out
    assert "No classes: " in out and "a.jpg: no position" in out


def test_messages_name_flags(tmp_path: Path, capsys: pytest.CaptureFixture):
    write_picture(tmp_path / "photos" / sf_name(5, 5, 5), 0, np.random.default_rng(0))
    inspect(tmp_path / "photos", "--output", tmp_path / "a.png", "--min_images_per_class", 9)
    assert "No classes: --min_images_per_class: no class has 9 images" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(PlacewiseError, match="none: there is no such folder"):
        inspect(tmp_path / "none")


def test_extents_in_metres_in_degrees_and_near_a_pole():
    lines = table_lines(
        {
            "one": places(utm_east=[500_000, 500_300], utm_north=[10, 20], utm_zone=[31, 31]),
            "two": places(latitude=[45, 45.5], longitude=[5, 7]),
            "date": places(latitude=[-17, -18], longitude=[179.5, -179]),
            "pole": places(latitude=[89, 88, 10], longitude=[0, 10, 20]),
            "none": places(heading=[1.0]),
        }
    )
    ends = [" ".join(line.split()[4:]) for line in lines[1:]]
    assert ends == [
        "300 m x 10 m 31N",
        "2 deg x 0.5 deg 31N, 32N",
        "1.5 deg x 1 deg 60S, 1S",
        "20 deg x 79 deg 34N, near a pole",
        "- -",
    ]


def test_longitudes_are_unwrapped_at_their_widest_gap():
    assert unwrapped(np.array([179.0, -179, np.nan, 178])).tolist()[:2] == [179, 181]
    assert unwrapped(np.array([-10.0, 10])).tolist() == [-10, 10]
    assert unwrapped(np.array([5.0])).tolist() == [5]


@pytest.mark.parametrize(
    ("longitude", "label", "ends"),
    [([5.9, 6.1], "longitude (degrees)", (5.9, 6.1)), ([179.9, -179.9], "longitude (degrees)", (179.9, 180.1))],
)
def test_places_of_several_zones_are_drawn_in_degrees(longitude: list[float], label: str, ends: tuple[float, float]):
    axes = Figure().subplots()
    draw_map({"a": places(latitude=[45.0, 45.1], longitude=longitude)}, axes)
    assert axes.get_xlabel() == label
    assert axes.collections[0].get_offsets()[:, 0].tolist() == pytest.approx(ends)


def test_places_of_one_zone_are_drawn_in_metres():
    axes = Figure().subplots()
    tables = {"a": places(latitude=[45.0], longitude=[5.9]), "b": places(utm_east=[7e5], utm_north=[5e6])}
    draw_map(tables, axes)
    assert axes.get_xlabel() == "UTM east (m)" and len(axes.collections) == 2
    assert axes.collections[1].get_offsets().tolist() == [[7e5, 5e6]]
