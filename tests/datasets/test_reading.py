from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from commons.errors import PlacewiseError
from datasets.geodesy import from_utm
from datasets.reading import read_places
from tests.conftest import sf_name
from tests.datasets.test_exif import write_exif


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)


def test_parent_folder_may_contain_at(tmp_path: Path):
    folder = tmp_path / "me@home" / "a@1@2@3"
    touch(folder, "sub@dir/" + sf_name(10, 20, 30), sf_name(11, 21, 31))
    assert sorted(read_places(folder).utm_east.tolist()) == [10, 11]


def test_photo_without_any_position_is_named_unless_allowed(tmp_path: Path):
    touch(tmp_path, "a.jpg")
    with pytest.raises(PlacewiseError, match="a.jpg: no position"):
        read_places(tmp_path)
    assert len(read_places(tmp_path, positions=False)) == 1


def test_missing_and_empty_folders_are_named(tmp_path: Path):
    with pytest.raises(PlacewiseError, match="no such folder"):
        read_places(tmp_path / "none")
    with pytest.raises(PlacewiseError, match="contains no image"):
        read_places(tmp_path)


@pytest.mark.parametrize("fields", ["@{0:.4f}@{1:.4f}@.png", "@{1:.4f}@{0:.4f}@.png"])
def test_degrees_in_the_place_of_metres_are_refused(tmp_path: Path, fields: str):
    """12 places 330 m apart, whose numbers lie less than 0.04 apart: every recall would be 100."""
    touch(tmp_path, *(fields.format(116.3 + 0.003 * i, 40.0) for i in range(12)))
    with pytest.raises(PlacewiseError, match="12 such images.*these look like degrees.*name their UTM zone"):
        read_places(tmp_path)


def test_degrees_in_the_columns_of_utm_are_refused(tmp_path: Path):
    touch(tmp_path, "a.jpg", "b.jpg")
    rows = "a.jpg,7.6,48.1\nb.jpg,7.7,48.2\n"
    (tmp_path / "places.csv").write_text("path,utm_east,utm_north\n" + rows)
    with pytest.raises(
        PlacewiseError, match="a.jpg .2 such images.: 7.6 and 48.1 are read as metres.*look like degrees"
    ):
        read_places(tmp_path)


def test_degrees_in_the_place_of_metres_are_named_where_no_position_is_needed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    touch(tmp_path, "@7.6@48.1@.jpg", "@7.7@48.2@.jpg")
    assert len(read_places(tmp_path, positions=False)) == 2
    assert "look like degrees" in caplog.text


@pytest.mark.parametrize(
    "names",
    [
        ["@0@17000@.jpg", "@0@0@.jpg", "@0@34000@.jpg"],  # pairs, far from each other, at made-up places
        ["@0@0@a@.jpg", "@0@0@b@.jpg"],
        ["@7@48@.jpg"],
        ["@7@48@31@N@.jpg", "@8@49@31@N@.jpg"],
        ["@100@200@.jpg", "@101@201@.jpg"],
    ],
)
def test_made_up_metres_are_read(tmp_path: Path, names: list[str], caplog: pytest.LogCaptureFixture):
    touch(tmp_path, *names)
    assert read_places(tmp_path).located.all()
    assert not caplog.records


def test_what_a_camera_numbers_with_at_does_not_beat_exif(tmp_path: Path):
    write_exif(tmp_path / "IMG@2019@10.jpg", {1: "N", 2: (52.0, 12.0, 18.0), 3: "W", 4: (0.0, 7.0, 30.0)})
    assert read_places(tmp_path).latitude == pytest.approx([52.205])


def test_zero_zero_is_no_position_in_exif(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Phones write it that hide where they are. 0 on one axis alone is a place."""
    zero, north, east = (0.0, 0.0, 0.0), (52.0, 0.0, 0.0), (9.0, 0.0, 0.0)
    for number in range(12):
        position = {2: zero, 4: zero} if number < 3 else {2: zero, 4: east} if number < 6 else {2: north, 4: zero}
        write_exif(tmp_path / f"{number:02d}.jpg", {1: "N", 3: "E"} | position)
    with pytest.raises(PlacewiseError, match="00.jpg: no position .*3 of 12 images, 3 with a GPS position of 0, 0"):
        read_places(tmp_path)
    places = read_places(tmp_path, positions=False)
    assert places.located.tolist() == [False] * 3 + [True] * 9
    assert "3 of 12 images have no position: 3 with a GPS position of 0, 0" in caplog.text


def test_zero_zero_is_no_position_in_a_table_or_a_name(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    touch(tmp_path / "table", "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "table" / "places.csv").write_text("path,latitude,longitude\na.jpg,0,0.0\nb.jpg,0,9\nc.jpg,9,0\n")
    with pytest.raises(
        PlacewiseError, match="a.jpg: no position in places.csv .1 of 3 images, 1 with latitude 0 and l"
    ):
        read_places(tmp_path / "table")
    assert read_places(tmp_path / "table", positions=False).located.tolist() == [False, True, True]
    assert "1 of 3 images have no position: 1 with latitude 0 and longitude 0" in caplog.text
    touch(tmp_path / "names", "@@@@@0@0@.jpg", "@5@6@31@N@0@0@.jpg")
    places = read_places(tmp_path / "names", positions=False)
    assert places.located.tolist() == [True, False]
    assert np.isnan(places.given_degrees.latitude).all()
    assert places.latitude[0] == from_utm(*(np.array([value]) for value in (5.0, 6.0, 31)))[0][0]


def test_messages_say_what_was_tried(tmp_path: Path):
    touch(tmp_path / "table", "a.jpg", "b.jpg")
    (tmp_path / "table" / "places.csv").write_text("path,latitude,longitude\na.jpg,1,2\nb.jpg,,\n")
    with pytest.raises(PlacewiseError, match="b.jpg: no position in places.csv .1 of 2 images.; fill in") as error:
        read_places(tmp_path / "table")
    assert "EXIF" not in str(error.value)
    damaged = (IFDRational(48), IFDRational(51), IFDRational(0, 0))
    write_exif(tmp_path / "photos" / "a.jpg", {1: "N", 2: damaged, 3: "E", 4: (2.0, 0.0, 0.0)})
    touch(tmp_path / "photos", "b.jpg")
    (tmp_path / "photos" / "c.jpg").write_bytes(b"torn")
    words = "3 of 3 images, 1 with a damaged GPS position; 1 with a file that cannot be opened.; name it"
    with pytest.raises(PlacewiseError, match="a.jpg: no position in its name or its EXIF data ." + words):
        read_places(tmp_path / "photos")
