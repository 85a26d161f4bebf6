from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from commons.errors import PlacewiseError
from datasets.decoding import ImageFiles, read_image
from datasets.geotagged import read_geotagged
from tests.datasets.geotagged.pictures import touch, write_csv

OSV5M = {
    "latitude": -43.8,
    "longitude": -176.6,
    "country": "NZ",
    "sequence": "s1",
    "region": "Chatham Islands",
    "sub-region": "",
    "city": "Waitangi",
    "creator_username": "roadroid",
    "creator_id": 11133622109171,
}


def test_all_columns_of_a_table(tmp_path: Path):
    touch(tmp_path, "train/a.jpg", "train/b.jpg")
    row = {"latitude": 55.1, "longitude": 9.5, "heading": 370, "country": "DK", "region": "Fyn", "sub_region": "Assens"}
    row |= {"city": "Glamsbjerg", "sequence": "7", "user": "ann"}
    table = write_csv(
        tmp_path / "train.csv", {"path": "train/a.jpg"} | row, {"path": ".\\train\\b.jpg"} | row | {"user": ""}
    )
    photos = read_geotagged(table)
    assert photos.path(1) == tmp_path / "train/b.jpg"
    assert photos.latitude.tolist() == [55.1, 55.1] and photos.longitude.tolist() == [9.5, 9.5]
    assert photos.places.heading.tolist() == [10, 10]
    found = {name: column.to_pylist() for name, column in photos.labels.items()}
    assert found == {
        "country": ["DK", "DK"],
        "region": ["Fyn", "Fyn"],
        "sub_region": ["Assens", "Assens"],
        "city": ["Glamsbjerg", "Glamsbjerg"],
        "sequence": ["7", "7"],
        "user": ["ann", None],
    }
    assert ImageFiles(photos.places).read(1).equal(read_image(tmp_path / "train/b.jpg"))


@pytest.mark.parametrize("folder", ["images/train/00", "images/train", "train/train", "images"])
def test_osv5m_names_images_by_numbers(tmp_path: Path, folder: str):
    touch(tmp_path, f"{folder}/3859149887465501.jpg", f"{folder}/12.jpg", "images/test/01/12.jpg")
    above = "train/" if folder == "train/train" else ""
    rows = [{"id": number} | OSV5M for number in (12, 3859149887465501)]
    photos = read_geotagged(write_csv(tmp_path / f"{above}train.csv", *rows))
    assert [photos.path(row) for row in range(2)] == [
        tmp_path / folder / "12.jpg",
        tmp_path / folder / "3859149887465501.jpg",
    ]
    assert photos.labels["user"].to_pylist() == ["roadroid"] * 2
    assert photos.labels["region"].to_pylist() == ["Chatham Islands"] * 2
    assert "sub_region" not in photos.labels


@pytest.mark.parametrize("folder", ["", "im2gps3ktest", "images"])
def test_im2gps3k_csv(tmp_path: Path, folder: str):
    names = ["104123223_7410c654ba_19_19355699@N00.jpg", "9_8_7_6@N01.jpg"]
    touch(tmp_path / folder, *names)
    rows = [{"IMG_ID": name, "AUTHOR": "me@N00", "LAT": 1.5, "LON": 2.5, "S3_Label": 1} for name in names]
    photos = read_geotagged(write_csv(tmp_path / "im2gps3k_places365.csv", *rows))
    assert photos.path(0) == tmp_path / folder / names[0]
    assert photos.labels["user"].to_pylist() == ["me@N00"] * 2
    assert photos.latitude.tolist() == [1.5, 1.5] and photos.longitude.tolist() == [2.5, 2.5]


def test_mp16_paths_in_another_folder(tmp_path: Path):
    touch(tmp_path / "flickr", "8b/5f/1234567_ab_1_19355699@N00.jpg")
    table = write_csv(tmp_path / "mp16.csv", {"IMG_ID": "8b/5f/1234567_ab_1_19355699@N00.jpg", "LAT": 1, "LON": 2})
    photos = read_geotagged(table, tmp_path / "flickr")
    assert photos.places.folder == tmp_path / "flickr"
    assert photos.labels["user"].to_pylist() == ["19355699@N00"]
    with pytest.raises(PlacewiseError, match="no such folder"):
        read_geotagged(table, tmp_path / "nowhere")


@pytest.mark.parametrize("encoded", [False, True])
def test_parquet(tmp_path: Path, encoded: bool):
    touch(tmp_path, "a.jpg", "b.jpg")
    city = pa.array(["Ry", "Fur"])
    columns = {"path": ["a.jpg", "b.jpg"], "lat": pa.array([1, 2], pa.float32()), "lng": [3, 4]}
    columns["creator_id"] = [7, None]
    columns["City"] = city.dictionary_encode() if encoded else city
    pa.parquet.write_table(pa.table(columns), tmp_path / "photos.parquet")
    photos = read_geotagged(tmp_path / "photos.parquet")
    assert photos.latitude.tolist() == [1, 2] and photos.longitude.tolist() == [3, 4]
    assert photos.labels["city"].to_pylist() == ["Ry", "Fur"]
    assert photos.labels["user"].to_pylist() == ["7", None]


def test_rows_that_are_left_out_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    names = ("c.jpg", "a.jpg", "gone.jpg")
    rows = [{"path": name, "latitude": number, "longitude": 5} for number, name in enumerate(names)]
    rows += [{"path": "a.jpg", "latitude": 9, "longitude": 9}, {"path": "", "latitude": 1, "longitude": 1}]
    rows += [{"path": "b.jpg", "latitude": "", "longitude": "nan"}]
    photos = read_geotagged(write_csv(tmp_path / "photos.csv", *rows))
    assert photos.places.names.to_pylist() == ["c.jpg", "a.jpg", "b.jpg"]
    assert photos.latitude.tolist()[:2] == [0, 1] and np.isnan(photos.latitude[2])
    line = "left out: 1 row(s) without a path; 1 row(s) whose image is not there; 1 row(s) that repeat an image"
    assert line in caplog.text
    assert "1 of 3 photos have no position" in caplog.text


def test_a_name_in_two_folders_is_not_guessed(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    touch(tmp_path, "images/00/1.jpg", "images/01/1.jpg", "images/01/2.jpg", "images/01/.3.jpg")
    rows = [{"id": number, "latitude": number, "longitude": number} for number in (1, 2, 3)]
    photos = read_geotagged(write_csv(tmp_path / "train.csv", *rows))
    assert photos.places.names.to_pylist() == ["01/2.jpg"] and photos.latitude.tolist() == [2]
    assert "1 row(s) whose image is not there; 1 row(s) whose image name occurs in several folders" in caplog.text
    with pytest.raises(PlacewiseError, match="told apart"):
        read_geotagged(write_csv(tmp_path / "train.csv", rows[0]))


def test_links_to_a_folder_above_end(tmp_path: Path):
    touch(tmp_path, "images/00/1.jpg")
    (tmp_path / "images/00/loop").symlink_to(tmp_path / "images")
    photos = read_geotagged(write_csv(tmp_path / "train.csv", {"id": "1", "latitude": 1, "longitude": 1}))
    assert photos.places.names.to_pylist() == ["00/1.jpg"]


def test_a_table_of_places(tmp_path: Path):
    touch(tmp_path, "harbour/0.jpg", "harbour/90.jpg", "mill/0.jpg", "other/0.jpg")
    rows = [{"place": "mill", "latitude": 1, "longitude": 2, "city": "Ry"}]
    rows += [{"place": "harbour/", "latitude": 3, "longitude": 4, "city": "Fur"}]
    photos = read_geotagged(write_csv(tmp_path / "list.csv", *rows))
    assert photos.places.names.to_pylist() == ["harbour/0.jpg", "harbour/90.jpg", "mill/0.jpg"]
    assert photos.latitude.tolist() == [3, 3, 1]
    assert photos.labels["city"].to_pylist() == ["Fur", "Fur", "Ry"]
    assert photos.codes("sequence").tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,lat\na.jpg,1\n", "no column longitude, only path, lat"),
        ("picture,lat,lon\na.jpg,1,2\n", "no column path"),
        ("path,lat,lon\n", "no row"),
        ("path,lat,lon\n,1,2\n", "no row has a path"),
        ("path,lat,lon\nz.jpg,1,2\n", "z.jpg, which is not in"),
        ("path,lat,lon\na.jpg,105.8,12.5\n", "are they swapped"),
        ("path,lat,lon\na.jpg,55 40 N,2\n", "row 1: lat 55 40 N is not a number"),
        ("path,lat,lon,lat\na.jpg,1,2,3\n", "twice"),
        ("path,lat,lon\na.jpg,1,2,3\n", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, text: str, words: str):
    touch(tmp_path, "a.jpg")
    (tmp_path / "photos.csv").write_text(text)
    with pytest.raises(PlacewiseError, match=words) as error:
        read_geotagged(tmp_path / "photos.csv")
    assert "photos.csv" in str(error.value) or "a.jpg" in str(error.value)
