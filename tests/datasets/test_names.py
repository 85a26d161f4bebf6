from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from datasets import names as module
from datasets.names import places_from_names
from datasets.places import Places
from datasets.reading import read_places
from tests.conftest import sf_name


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)


def parse(*names: str) -> Places:
    return places_from_names(Path("."), list(names))


def test_full_name():
    places = parse("@0544388.51@4172758.25@10@S@037.70098@-122.49646@kPnABhWJ1kA61eMNPLs1vQ@@210@@@@201606@@.jpg")
    assert (places.utm_east[0], places.utm_north[0], places.utm_zone[0]) == (544388.51, 4172758.25, 10)
    assert (places.latitude[0], places.longitude[0], places.heading[0]) == (37.70098, -122.49646, 210)
    assert places.timestamp[0].as_py() == "201606"


def test_names_with_few_or_empty_fields():
    places = parse(
        "@0549678.37@4180874.60@10@S@037.77386@-122.43590@bZ1VXzxFCSKi9wcz8H5pZA0@201311.jpg",
        "@0381418.20@3946450.42@54@S@035.65478@0139.69001@JHVdmPpMNQcjBfR7qsWEtA@04@@@@@@@.jpg",
        "@1.5@2.5@.png",
        "photo.jpg",
    )
    assert places.utm_east[:3].tolist() == [549678.37, 381418.20, 1.5]
    assert places.utm_zone.tolist() == [10, 54, 0, 0]
    assert np.isnan(places.heading).all()
    assert places.located.tolist() == [True, True, True, False]


@pytest.mark.parametrize("bad", ["abc", "nan", "inf", "1,5", " "])
def test_fields_that_are_no_number_are_unknown_and_leave_others_alone(bad: str):
    places = parse(f"@100.00@200.00@10@S@@@@@{bad}@@@@@@.jpg", "@100.00@200.00@10@S@@@@@45@@@@@@.jpg")
    assert np.isnan(places.heading[0])
    assert places.heading[1] == 45


def test_southern_bands_and_wrong_zones():
    places = parse("@1@2@56@H@.jpg", "@1@2@56@N@.jpg", "@1@2@99@N@.jpg", "@1@2@31@@.jpg")
    assert places.utm_zone.tolist() == [-56, 56, 0, 31]


def test_exponents_and_bare_points_are_numbers():
    places = parse("@1e2@.5@10@S@.jpg", "@x@2@10@S@.jpg")
    assert places.utm_east[0] == 100 and places.utm_north[0] == 0.5 and np.isnan(places.utm_east[1])


@pytest.mark.parametrize("more", [[], ["@1@2@.jpg"]])
def test_names_that_do_not_begin_with_at_need_a_zone(more: list[str]):
    """A camera's IMG@2019@10.jpg is no position; both ways of reading names agree."""
    tail = "@S@037.70098@-122.49646@kPnABhWJ1@@210@@@@201606@@.jpg"
    names = ["IMG@2019@10@" + tail, "IMG@2019@10@10" + tail, "a/@2019@10@" + tail, *more]
    assert parse(*names).located.tolist()[:3] == [False, True, True]
    assert np.isnan(parse(*names).heading[0])
    assert parse("IMG@2019@10.jpg", "@2019@10.jpg").located.tolist() == [False, True]


def test_what_names_say_is_cached_by_the_names(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "CACHED_FROM", 2)
    folder, cache = tmp_path / "images", tmp_path / "cache"
    touch(folder, sf_name(500_001, 4_000_002, 30), "no position.jpg", "@1@2@.jpg")
    first = read_places(folder, positions=False, cache=cache)
    parsed = []
    monkeypatch.setattr(module, "_parse", lambda *arguments: parsed.append(1))
    again = read_places(folder, positions=False, cache=cache)
    assert not parsed
    for name in ("latitude", "longitude", "utm_east", "utm_north", "utm_zone", "heading"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert again.timestamp.equals(first.timestamp) and again.names.equals(first.names)


def test_a_stale_or_damaged_cache_is_not_used(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "CACHED_FROM", 1)
    folder, cache = tmp_path / "images", tmp_path / "cache"
    touch(folder, "@1000@2@.jpg")
    read_places(folder, cache=cache)
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert read_places(folder, cache=cache).utm_east.tolist() == [1000]
    touch(folder, "@3000@4@.jpg")
    assert read_places(folder, cache=cache).utm_east.tolist() == [1000, 3000]
    assert len(list(cache.iterdir())) == 2
    assert read_places(folder).utm_east.tolist() == [1000, 3000]


FULL = "@0544388.51@4172758.25@10@S@037.70098@-122.49646@kPnABhWJ1@@210@@@@201606@@.jpg"


@pytest.mark.parametrize(
    ("names", "uniform"),
    [
        ([FULL, FULL.replace("210", "030").replace("201606", "")], True),
        (["sub folder/" + FULL, "b/" + FULL], True),
        ([FULL.replace("@10@S@", "@@@").replace("210", "")], True),
        ([FULL, "@1@2@.jpg"], False),
        ([FULL, FULL.replace("210", "north")], False),
        (["a@b/" + FULL, "a@b/" + FULL], False),
        ([FULL.replace("kPn", "k\nP")], False),
        (["@1@2@@@3@4@@@90@@@@201606.jpg"], False),
    ],
)
def test_names_with_every_field_are_read_as_any_names_are(names: list[str], uniform: bool):
    paths = pa.array(names)
    fast, plain = module._full_fields(paths), module._any_fields(paths)
    assert (fast is not None) == uniform
    for name, column in (fast or {}).items():
        if name == "start":
            continue  # the fast way leaves the folder before it
        if name in module.TEXTS:
            assert column.equals(plain[name])
        else:
            np.testing.assert_array_equal(column, plain[name])
