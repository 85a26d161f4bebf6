from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from commons.errors import PlacewiseError
from datasets import reading
from datasets.reading import list_images, places_from_names, read_places
from tests.conftest import sf_name


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)


def parse(*names: str) -> object:
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


def test_parent_folder_may_contain_at(tmp_path: Path):
    folder = tmp_path / "me@home" / "a@1@2@3"
    touch(folder, "sub@dir/" + sf_name(10, 20, 30), sf_name(11, 21, 31))
    assert sorted(read_places(folder).utm_east.tolist()) == [10, 11]


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


def test_times_of_a_table_stay_as_they_are_written(tmp_path: Path):
    touch(tmp_path, "a.jpg")
    (tmp_path / "places.csv").write_text(
        "path,latitude,longitude,timestamp\na.jpg,52.2,0.1,2023-07-14 19:30:00+02:00\n"
    )
    assert read_places(tmp_path).timestamp.to_pylist() == ["2023-07-14 19:30:00+02:00"]
    (tmp_path / "places.csv").write_bytes("path,latitude,longitude\nZ\xfcrich.jpg,47.4,8.5\n".encode("latin-1"))
    with pytest.raises(PlacewiseError, match="places.csv: cannot be read"):
        read_places(tmp_path)


def test_csv_with_latitude_and_longitude(tmp_path: Path):
    touch(tmp_path, "a.jpg", "b/c.png")
    (tmp_path / "places.csv").write_text(
        "path,latitude,longitude,heading,timestamp\na.jpg,52.2,0.12,370,2020-01\nb/c.png,52.3,0.13,,\n"
    )
    places = read_places(tmp_path)
    assert places.path(1) == tmp_path / "b/c.png"
    assert places.heading[0] == 10 and np.isnan(places.heading[1])
    assert places.utm_zone.tolist() == [31, 31]
    assert places.timestamp.to_pylist() == ["2020-01", ""]
    # One degree of latitude is 111.2 km there.
    assert places.utm_north[1] - places.utm_north[0] == pytest.approx(11_120, rel=0.01)


def test_parquet_with_utm(tmp_path: Path):
    touch(tmp_path, "a.jpg")
    table = pa.table({"path": ["a.jpg"], "utm_east": [100.5], "utm_north": [7.0], "utm_zone": [-33]})
    pa.parquet.write_table(table, tmp_path / "places.parquet")
    places = read_places(tmp_path)
    assert (places.utm_east[0], places.utm_north[0], places.utm_zone[0]) == (100.5, 7.0, -33)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,lat,lon\na.jpg,1,2\n", "needs the columns"),
        ("path,latitude,longitude\n", "no row"),
        ("path,latitude,longitude\nz.jpg,1,2\n", "z.jpg"),
        ("path,latitude,longitude\na.jpg,,\n", "a.jpg: no position"),
        ("path,latitude,longitude\na.jpg,1,2,3,4\n", "cannot be read"),
        ("path,latitude,longitude,latitude\na.jpg,1,2,3\n", "twice"),
        ("path,utm_east,utm_north,utm_zone\na.jpg,1,2,33T\n", "utm_zone"),
        ("path,utm_east,utm_north,utm_zone\na.jpg,1,2,61\n", "utm_zone"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, text: str, words: str):
    touch(tmp_path, "a.jpg")
    (tmp_path / "places.csv").write_text(text)
    with pytest.raises(PlacewiseError, match=words):
        read_places(tmp_path)


def write_exif(path: Path, gps: dict) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update(gps)
    exif.get_ifd(0x8769)[36867] = "2021:05:06 07:08:09"
    Image.new("RGB", (8, 8)).save(path, exif=exif)


def test_exif_positions(tmp_path: Path):
    write_exif(tmp_path / "a.jpg", {1: "N", 2: (52.0, 12.0, 18.0), 3: "W", 4: (0.0, 7.0, 30.0), 17: 400.5})
    write_exif(tmp_path / "b.jpg", {1: "S", 2: (33.0, 30.0, 0.0), 3: "E", 4: (151.0, 0.0, 36.0)})
    places = read_places(tmp_path)
    assert places.latitude.tolist() == pytest.approx([52.205, -33.5])
    assert places.longitude.tolist() == pytest.approx([-0.125, 151.01])
    assert places.heading[0] == 40.5 and np.isnan(places.heading[1])
    assert places.utm_zone.tolist() == [30, -56]
    assert places.timestamp[0].as_py() == "2021:05:06 07:08:09"


def test_what_exif_does_not_say_stays_as_the_name_says(tmp_path: Path):
    write_exif(tmp_path / "@@@@@@@@@90@@@@201905@@.jpg", {1: "N", 2: (52.0, 0.0, 0.0), 3: "E", 4: (0.0, 6.0, 0.0)})
    places = read_places(tmp_path)
    assert places.latitude.tolist() == [52] and places.heading.tolist() == [90]


def test_photo_without_any_position_is_named_unless_allowed(tmp_path: Path):
    touch(tmp_path, "a.jpg")
    with pytest.raises(PlacewiseError, match="a.jpg: no position"):
        read_places(tmp_path)
    assert len(read_places(tmp_path, positions=False)) == 1


def test_current_folder_and_foreign_encodings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    touch(tmp_path / "set", sf_name(1, 1))
    monkeypatch.chdir(tmp_path / "set")
    assert len(read_places(".")) == 1
    (tmp_path / "set_images_paths.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlacewiseError, match="UTF-8"):
        read_places(".")


def test_exponents_and_bare_points_are_numbers():
    places = parse("@1e2@.5@10@S@.jpg", "@x@2@10@S@.jpg")
    assert places.utm_east[0] == 100 and places.utm_north[0] == 0.5 and np.isnan(places.utm_east[1])


def test_missing_and_empty_folders_are_named(tmp_path: Path):
    with pytest.raises(PlacewiseError, match="no such folder"):
        read_places(tmp_path / "none")
    with pytest.raises(PlacewiseError, match="holds no image"):
        read_places(tmp_path)


def test_what_names_say_is_cached_by_the_names(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(reading, "CACHED_FROM", 2)
    folder, cache = tmp_path / "images", tmp_path / "cache"
    touch(folder, sf_name(500_001, 4_000_002, 30), "no position.jpg", "@1@2@.jpg")
    first = read_places(folder, positions=False, cache=cache)
    parsed = []
    monkeypatch.setattr(reading, "_parse", lambda *arguments: parsed.append(1))
    again = read_places(folder, positions=False, cache=cache)
    assert not parsed
    for name in ("latitude", "longitude", "utm_east", "utm_north", "utm_zone", "heading"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert again.timestamp.equals(first.timestamp) and again.names.equals(first.names)


def test_a_stale_or_damaged_cache_is_not_used(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(reading, "CACHED_FROM", 1)
    folder, cache = tmp_path / "images", tmp_path / "cache"
    touch(folder, "@1@2@.jpg")
    read_places(folder, cache=cache)
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert read_places(folder, cache=cache).utm_east.tolist() == [1]
    touch(folder, "@3@4@.jpg")
    assert read_places(folder, cache=cache).utm_east.tolist() == [1, 3]
    assert len(list(cache.iterdir())) == 2
    assert read_places(folder).utm_east.tolist() == [1, 3]


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
    fast, plain = reading._full_fields(paths), reading._any_fields(paths)
    assert (fast is not None) == uniform
    for name, column in (fast or {}).items():
        if name in reading.TEXTS:
            assert column.equals(plain[name])
        else:
            np.testing.assert_array_equal(column, plain[name])
