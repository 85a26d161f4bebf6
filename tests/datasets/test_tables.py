from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from commons.errors import PlacewiseError
from datasets.reading import read_places
from datasets.tables import read_table


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)


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


def test_times_of_a_table_stay_as_they_are_written(tmp_path: Path):
    touch(tmp_path, "a.jpg")
    (tmp_path / "places.csv").write_text(
        "path,latitude,longitude,timestamp\na.jpg,52.2,0.1,2023-07-14 19:30:00+02:00\n"
    )
    assert read_places(tmp_path).timestamp.to_pylist() == ["2023-07-14 19:30:00+02:00"]


@pytest.mark.parametrize(
    ("encoding", "delimiter", "point"),
    [
        ("utf-8", ",", "."),
        ("utf-8-sig", ";", ","),
        ("utf-8-sig", ",", "."),
        ("latin-1", ";", ","),
        ("cp1252", ";", "."),
        ("latin-1", "\t", "."),
        ("utf-16", "\t", ","),
        ("utf-16", ",", "."),
    ],
)
def test_tables_as_spreadsheets_export_them(tmp_path: Path, encoding: str, delimiter: str, point: str):
    """Separators, encodings, decimal commas and column names in capitals."""
    touch(tmp_path, "Zürich Süd.jpg", "b.jpg")
    rows = [
        ["Path", " Latitude", "LONGITUDE ", "Heading", "Timestamp"],
        ["Zürich Süd.jpg", f"47{point}376", f"8{point}5", "90", "2020-01"],
        ["b.jpg", f"-33{point}25", "151", "", ""],
    ]
    text = "".join(delimiter.join(row) + "\r\n" for row in rows)
    (tmp_path / "places.csv").write_bytes(text.encode(encoding))
    places = read_places(tmp_path)
    assert places.names.to_pylist() == ["Zürich Süd.jpg", "b.jpg"]
    assert places.latitude.tolist() == [47.376, -33.25] and places.longitude.tolist() == [8.5, 151]
    assert places.heading[0] == 90 and np.isnan(places.heading[1])
    assert places.timestamp.to_pylist() == ["2020-01", ""]


def test_the_dash_of_windows_is_read(tmp_path: Path):
    """0x96 is a dash in Windows' encoding and a control character in Latin-1."""
    touch(tmp_path, "a–b.jpg")
    (tmp_path / "places.csv").write_bytes("path,latitude,longitude\na–b.jpg,1,2\n".encode("cp1252"))
    assert read_places(tmp_path).names.to_pylist() == ["a–b.jpg"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            "a.jpg,48°51'30\"N,2.35",
            "row 1: latitude 48°51'30\"N is not a number: write decimal degrees such as 48.8583",
        ),
        ("a.jpg,48.85,2 21 3", "row 1: longitude 2 21 3 is not a number"),
        ("a.jpg,48.85N,2.35", "row 1: latitude 48.85N is not a number"),
        ("a.jpg,abc,2.35", "row 1: latitude abc is not a number"),
        ("a.jpg,151.2,-33.9", "latitude 151.2, longitude -33.9 .* are they swapped"),
    ],
)
def test_what_is_no_number_is_refused(tmp_path: Path, row: str, words: str):
    touch(tmp_path, "a.jpg")
    (tmp_path / "places.csv").write_text(f"path,latitude,longitude\n{row}\n")
    with pytest.raises(PlacewiseError, match=words):
        read_places(tmp_path)


def test_words_for_nothing_are_unknown(tmp_path: Path):
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "places.csv").write_text("path,latitude,longitude\na.jpg,n/a,-\nb.jpg,NaN,NULL\nc.jpg,1.5,2\n")
    assert read_table(tmp_path / "places.csv").located.tolist() == [False, False, True]


def test_rows_and_images_without_each_other_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    touch(tmp_path, "a.jpg", "b.jpg", "sub/c.jpg", "sub/d.jpg")
    (tmp_path / "scan.bmp").touch()
    (tmp_path / "e.heic").touch()
    rows = ["gone.jpg", "a.jpg", "sub\\c.jpg", "./a.jpg", "scan.bmp", "a.jpg", "sub/gone.jpg"]
    (tmp_path / "places.csv").write_text(
        "path,latitude,longitude\n" + "".join(f"{name},{number},1\n" for number, name in enumerate(rows))
    )
    places = read_places(tmp_path)
    assert places.names.to_pylist() == ["a.jpg", "sub/c.jpg", "scan.bmp"]
    assert places.latitude.tolist() == [1, 2, 4]
    (record,) = caplog.records
    message = record.getMessage()
    assert message.startswith(f"{tmp_path / 'places.csv'}: left out: 2 row(s) whose image is not there; ")
    assert "; 2 row(s) that repeat a path; 2 image(s) without a row; " in message and "1 .heic" in message


def test_a_table_of_every_image_is_read_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    touch(tmp_path, "a.jpg", "sub/c.jpg")
    (tmp_path / "places.csv").write_text("path,latitude,longitude\na.jpg,1,1\nsub\\c.jpg,2,1\n")
    assert len(read_places(tmp_path)) == 2
    assert not caplog.records


def test_a_row_may_know_only_one_kind_of_position(tmp_path: Path):
    touch(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "places.csv").write_text(
        "path,utm_east,utm_north,utm_zone,latitude,longitude\na.jpg,,,,52,1\nb.jpg,5e5,4e6,31,,\n"
    )
    places = read_places(tmp_path)
    assert places.utm_zone.tolist() == [31, 31] and places.latitude[0] == 52
    assert places.longitude[1] == pytest.approx(3)
