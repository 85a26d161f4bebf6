"""Files of the demo country: tables, polygons, equal bytes for equal seeds, and no shortcut to the place."""

import csv
import json

import pytest
import shapely
from PIL import Image

from benchmarks.demo_country import all_statistics, best_single_point, positions, probe, read_rows
from cells.polygons import read_polygons
from commons.errors import PlacewiseError
from commons.sphere import haversine_km
from demo import country as country_module
from demo.country import COLUMNS, write_country
from demo.sizes import COUNTRIES, CountrySize
from demo.write import demo_or_folder

TINY = CountrySize(8, 3, (4, 1, 2), 2)
MIDDLE = CountrySize(16, 4, (160, 30, 60), 2)
SPLITS = ("train", "val", "test")


@pytest.fixture(autouse=True)
def sizes(monkeypatch):
    monkeypatch.setitem(COUNTRIES, "tiny", TINY)
    monkeypatch.setitem(COUNTRIES, "middle", MIDDLE)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(COUNTRIES, "tiny", TINY)
        return write_country(tmp_path_factory.mktemp("one") / "demo", "tiny", seed=3, workers=1)


@pytest.fixture(scope="module")
def rows(demo):
    return {split: read_rows(demo, split) for split in SPLITS}


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_tables_name_all_photos(demo, rows):
    assert {split: len(table) for split, table in rows.items()} == {"train": 8, "val": 2, "test": 4}
    for split, table in rows.items():
        with (demo / f"{split}.csv").open() as file:
            assert tuple(csv.DictReader(file).fieldnames) == COLUMNS
        assert {demo / row["path"] for row in table} == set((demo / split).glob("*.jpg"))
        assert all(Image.open(demo / row["path"]).size == (160, 160) for row in table)
    assert json.loads((demo / "demo.json").read_text())["images"] == {"train": 8, "val": 2, "test": 4}


def test_positions_lie_in_the_named_municipality(demo, rows):
    areas = read_polygons(demo / "municipalities.geojson", "name", "region", "country")
    at = {name: k for k, name in enumerate(areas.names)}
    assert len(at) == 8
    for row in sum(rows.values(), []):
        k = at[row["sub_region"]]
        assert shapely.contains_xy(areas.shapes[k], float(row["longitude"]), float(row["latitude"]))
        assert (row["region"], row["country"]) == (areas.regions[k], areas.countries[k])
        assert 0 <= int(row["heading"]) < 360


def test_sequences_are_short_drives_of_one_user_in_one_split(rows):
    every = [(row, split) for split, table in rows.items() for row in table]
    for key, least in (("sequence", 7), ("user", 3)):
        splits = {row[key]: {s for other, s in every if other[key] == row[key]} for row, _ in every}
        assert len(splits) >= least and all(len(found) == 1 for found in splits.values())
    for name in {row["sequence"] for row, _ in every}:
        own = [row for row, _ in every if row["sequence"] == name]
        (latitude, longitude) = positions(own).T
        assert len(own) == 2 and len({row["user"] for row in own}) == 1
        assert 0.005 < haversine_km(latitude[0], longitude[0], latitude[1], longitude[1]) < 0.1


def test_complete_country_is_left_alone(demo, monkeypatch):
    monkeypatch.setattr(country_module, "make_traits", lambda *_: pytest.fail("built again"))
    assert write_country(demo, "tiny", seed=3) == demo


def test_other_country_or_files_in_the_way(demo, tmp_path):
    with pytest.raises(PlacewiseError, match="another demo country"):
        write_country(demo, "tiny", seed=4)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(PlacewiseError, match="not a demo country"):
        write_country(tmp_path, "tiny")
    with pytest.raises(PlacewiseError, match="demo-country"):
        write_country(tmp_path / "new", "huge")


def test_name_resolves_to_a_folder_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("demo.write.write_country", lambda folder, size: folder.mkdir() or folder)
    assert demo_or_folder("demo-country", tmp_path) == str(tmp_path / "demo-country")
    assert (tmp_path / "demo-country").is_dir() and demo_or_folder("mine", tmp_path) == "mine"


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(country_module, "take_photos", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_country(tmp_path / "demo", "tiny", seed=3, workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_same_bytes_with_two_workers(demo, tmp_path):
    assert contents(write_country(tmp_path / "demo", "tiny", seed=3, workers=2)) == contents(demo)


@pytest.mark.slow
def test_trivial_statistics_do_not_tell_the_place(tmp_path):
    folder = write_country(tmp_path / "demo", "middle", seed=5, workers=2)
    rows = [read_rows(folder, split) for split in SPLITS]
    tables = [all_statistics([folder / row["path"] for row in part]) for part in rows]
    single = best_single_point(positions(rows[0]), positions(rows[2]))
    found = probe(tables, rows)
    # A network should reach a third of the best single point; docs/geolocation.md has the figures of the full size.
    assert min(found["position_km"], found["class_km"]) > single / 2
    # The probe does see a shortcut: a mean that rises by a tenth of its spread with every 10 km northwards.
    for table, part in zip(tables, rows, strict=True):
        table[:, 2] += table[:, 2].std() * (positions(part)[:, 0] - 46) * 111 / 100
        table[:, 3] += table[:, 3].std() * (positions(part)[:, 1] + 33) * 77 / 100
    assert probe(tables, rows)["position_km"] < single / 3
