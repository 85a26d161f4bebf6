from pathlib import Path

import numpy as np
import pytest

from commons.errors import ArgumentError, PlacewiseError
from datasets.grouping import make_groups
from datasets.gsv_cities import is_gsv_name, listed_images
from datasets.places import to_utm
from datasets.reading import read_places

HEADER = "place_id,year,month,northdeg,city_id,lat,lon,panoid\n"
# Of place 3 in London one image lies next to Greenwich's meridian, where Python prints an exponent.
LONDON = """\
3,2015,5,90,London,51.5012,-5e-05,aB_c-1
3,2019,11,7,London,51.5012,0.0001,aBcdef
12,2009,1,359,London,51.6,-0.125,x_y_z
12,2010,12,0,London,51.6,-0.125,pano2
12,2011,12,1,London,51.6,-0.125,pano3
"""
BOSTON = "3,2012,7,180,Boston,42.25,-71.5,qqq\n3,2013,7,181,Boston,42.25,-71.5,rrr\n"


def write(folder: Path, extension: str = "jpg") -> Path:
    """Two cities; names as the authors' loader builds them from the columns."""
    for city, rows in (("London", LONDON), ("Boston", BOSTON)):
        (folder / "Dataframes").mkdir(parents=True, exist_ok=True)
        (folder / "Dataframes" / f"{city}.csv").write_text(HEADER + rows)
        (folder / "Images" / city).mkdir(parents=True)
        for row in rows.splitlines():
            place, year, month, heading, _, lat, lon, panorama = row.split(",")
            name = (
                f"{city}_{int(place):07d}_{year}_{int(month):02d}_{int(heading):03d}_{lat}_{lon}_{panorama}.{extension}"
            )
            (folder / "Images" / city / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize("extension", ["jpg", "JPG"])
def test_tables_list_the_images_that_are_there(tmp_path: Path, extension: str):
    folder = write(tmp_path, extension)
    found = listed_images(folder)
    assert found == sorted(path.relative_to(folder).as_posix() for path in folder.glob("Images/*/*"))
    assert len(found) == 7


@pytest.mark.parametrize("tables", [True, False])
def test_positions_headings_and_times(tmp_path: Path, tables: bool):
    """With the CSV files, and with a folder of images alone."""
    folder = write(tmp_path)
    places = read_places(folder if tables else folder / "Images" / "London")
    london = [row for row in range(len(places)) if "London" in places.names[row].as_py()]
    assert [places.heading[row] for row in london] == [90, 7, 359, 0, 1]
    assert [places.timestamp[row].as_py() for row in london] == ["201505", "201911", "200901", "201012", "201112"]
    assert places.latitude[london[0]] == 51.5012 and places.longitude[london[0]] == -5e-05
    east, north, zone = to_utm(np.array([51.6]), np.array([-0.125]))
    row = london[2]
    assert (places.utm_east[row], places.utm_north[row], places.utm_zone[row]) == (east[0], north[0], zone[0])


def test_classes_are_places_and_groups_are_cities(tmp_path: Path):
    places = read_places(write(tmp_path))
    boston, london = make_groups(places, 10, 30, 5, 2, 0, 1)
    assert [group.group_id for group in (boston, london)] == [(0, 0, 0), (1, 0, 0)]
    assert (np.diff(boston.offsets).tolist(), np.diff(london.offsets).tolist()) == ([2], [2, 3])
    for group, city in ((boston, "Boston"), (london, "London")):
        for label in range(len(group)):
            rows = group.images[group.offsets[label] : group.offsets[label + 1]]
            assert len({places.names[int(row)].as_py()[: len("Images/London/London_0000012")] for row in rows}) == 1
            assert all(f"/{city}_" in places.names[int(row)].as_py() for row in rows)
    (only,) = make_groups(places, 10, 30, 5, 2, 0, 3)
    assert (len(only), len(only.images)) == (1, 3)
    with pytest.raises(ArgumentError, match="`groups_num`: 3: .* use `groups_num` 2"):
        make_groups(places, 10, 30, 5, 2, 3, 1)


def test_cities_without_images_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    folder = write(tmp_path)
    (folder / "Dataframes" / "Rome.csv").write_text(HEADER + "1,2015,5,90,Rome,41.9,12.5,p\n")
    assert len(listed_images(folder)) == 7
    assert "Rome.csv" in caplog.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("place_id,year\n1,2\n", "London.csv: needs the columns place_id, .* has place_id, year"),
        (HEADER + "3,2015,5,,London,51.5,1.0,p\n", "London.csv: a row is damaged"),
        (HEADER + "3,2015,5,90,London,51.5,1.0,other\n", "its first row names Images/London/London_0000003.*other.jpg"),
        ("", "London.csv: cannot be read"),
    ],
)
def test_damaged_tables_are_named(tmp_path: Path, text: str, words: str):
    folder = write(tmp_path)
    (folder / "Dataframes" / "London.csv").write_text(text)
    with pytest.raises(PlacewiseError, match=words):
        read_places(folder)


def test_a_foreign_name_among_gsv_names_is_refused(tmp_path: Path):
    folder = write(tmp_path) / "Images" / "London"
    (folder / "holiday.jpg").write_bytes(b"")
    with pytest.raises(PlacewiseError, match="holiday.jpg: no position"):
        read_places(folder)


def test_names_of_other_data_sets_are_not_taken_for_gsv():
    assert is_gsv_name("Images/PRS/PRS_0000012_2015_05_090_48.8_2.3_a_b.jpg")
    assert is_gsv_name("New_York_0000012_2015_05_090_-48.8_1e-05_.JPG")
    for name in ("@543037.38@4180974.80@10@S@037.77@-122.51@pano@@134@@@@201311@@.jpg", "img_0000012_2015.jpg"):
        assert not is_gsv_name(name)
