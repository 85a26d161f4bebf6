from pathlib import Path

import pytest

from commons.errors import PlacewiseError
from datasets.geotagged import find_splits, read_geotagged, read_split
from tests.datasets.geotagged.pictures import jpeg, touch, write_csv, write_shard

ROW = {"latitude": 1.0, "longitude": 2.0}


def test_tables_of_splits_in_one_folder(tmp_path: Path):
    for number, split in enumerate(("train", "val", "test")):
        touch(tmp_path, f"{split}/{number}.jpg")
        write_csv(tmp_path / f"{split}.csv", {"path": f"{split}/{number}.jpg"} | ROW)
    assert list(find_splits(tmp_path)) == ["train", "val", "test"]
    assert read_split(tmp_path, "val").places.names.to_pylist() == ["val/1.jpg"]
    with pytest.raises(PlacewiseError, match="several tables: name one of test.csv, train.csv, val.csv"):
        read_geotagged(tmp_path)


def test_splits_as_folders_of_shards_and_of_places(tmp_path: Path):
    write_shard(tmp_path / "train/0.tar", {"a.jpg": jpeg(0), "a.json": ROW})
    touch(tmp_path, "test/1.5,2.5/0.jpg")
    assert read_split(tmp_path, "train", cache=tmp_path / "cache").places.names.to_pylist() == ["0.tar/a.jpg"]
    assert read_split(tmp_path, "test").latitude.tolist() == [1.5]
    with pytest.raises(PlacewiseError, match="has no val.csv, val.parquet or folder val, only train, test; `split_by`"):
        read_split(tmp_path, "val")


def test_the_single_table_of_a_folder(tmp_path: Path):
    touch(tmp_path, "images/a.jpg")
    write_csv(tmp_path / "photos.csv", {"path": "a.jpg"} | ROW)
    assert read_geotagged(tmp_path).path(0) == tmp_path / "images/a.jpg"


def test_tabs_separate_columns_of_tsv(tmp_path: Path):
    touch(tmp_path, "a.jpg")
    (tmp_path / "photos.tsv").write_text("path\tlat\tlon\na.jpg\t1,5\t2\n")
    assert read_geotagged(tmp_path / "photos.tsv").latitude.tolist() == [1.5]


def test_unknown_sources(tmp_path: Path):
    with pytest.raises(PlacewiseError, match="no such file or folder"):
        read_geotagged(tmp_path / "gone")
    (tmp_path / "photos.xlsx").touch()
    with pytest.raises(PlacewiseError, match="is no table"):
        read_geotagged(tmp_path / "photos.xlsx")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PlacewiseError, match="contains no image"):
        read_geotagged(tmp_path / "empty")
