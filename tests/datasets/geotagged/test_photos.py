import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from datasets.geotagged import GeoPhotos
from datasets.geotagged.photos import label_column, users_of_names, with_labels
from datasets.places import make_places


def photos(count: int = 4) -> GeoPhotos:
    names = pa.array([f"{number}.jpg" for number in range(count)])
    places = make_places(Path("x"), names, latitude=np.arange(count) + 50.0, longitude=np.arange(count) * 1.0)
    return GeoPhotos(places, {"city": label_column(pa.array(["Ry", None, "Ry", "Fur"]))})


def test_codes_are_minus_one_where_nothing_is_known():
    assert photos().codes("city").tolist() == [0, -1, 0, 1]
    assert photos().codes("user").tolist() == [-1] * 4


@pytest.mark.parametrize("rows", [np.array([3, 1]), [3, 1]])
def test_taken_rows_keep_positions_and_labels_together(rows: np.ndarray):
    taken = photos().take(rows)
    assert len(taken) == 2
    assert taken.latitude.tolist() == [53, 51]
    assert taken.labels["city"].to_pylist() == ["Fur", None]
    assert taken.path(0) == Path("x/3.jpg")


def test_rows_may_be_chosen_by_a_boolean_for_each():
    assert photos().take(np.array([False, True, True, False])).longitude.tolist() == [1, 2]


def test_worker_processes_get_the_same():
    again = pickle.loads(pickle.dumps(photos()))
    assert again.labels["city"].to_pylist() == photos().labels["city"].to_pylist()
    assert again.longitude.tolist() == photos().longitude.tolist()


def test_labels_are_trimmed_and_namibia_is_a_country():
    column = label_column(pa.chunked_array([["NA", " DK"], ["DK ", "", "nan", "DK"]]))
    assert column.to_pylist() == ["NA", "DK", "DK", None, None, "DK"]
    assert len(column.dictionary) == 2
    assert label_column(pa.array([12, None])).to_pylist() == ["12", None]
    assert label_column(pa.array(["", None])) is None


def test_flickr_users_stand_in_names():
    names = pa.array(["a/104123223_7410c654ba_19_19355699@N00.jpg", "b.jpg"])
    assert users_of_names(names).to_pylist() == ["19355699@N00", None]
    assert users_of_names(pa.array(["@548000@4180000@.jpg"])) is None


def test_positions_of_zero_are_unknown_and_counted(caplog: pytest.LogCaptureFixture):
    names = pa.array(["a.jpg", "b.jpg", "c.jpg"])
    places = make_places(Path("x"), names, latitude=np.array([0, 0, np.nan]), longitude=np.array([0, 9.0, 9]))
    read = with_labels(places, {"city": None}, Path("x"))
    assert read.located.tolist() == [False, True, False]
    assert read.labels == {}
    assert "2 of 3 photos have no position" in caplog.text
