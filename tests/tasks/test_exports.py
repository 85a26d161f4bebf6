import logging
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from commons.errors import ArgumentError
from datasets.places import Places, make_places
from datasets.test_dataset import TestSet
from retrieval.table import DescriptorTable
from tasks.exports import check_h5py, check_keys, common_folder, save_hloc, save_predictions
from tasks.measuring import Evaluation


def places(folder: Path, *names: str) -> Places:
    return make_places(folder, pa.array(names))


def filled(rows: list[int], vectors: np.ndarray) -> DescriptorTable:
    table = DescriptorTable(len(rows), vectors.shape[1])
    table.add([(np.array(rows), vectors)])
    return table


def evaluation(folder: Path) -> Evaluation:
    database = places(folder / "database", "a.jpg", "sub/b.jpg", "c c.jpg")
    queries = places(folder / "queries_night", "q1.jpg", "q2.jpg")
    predictions = np.array([[1, 0, 2], [2, 2, 2]])  # the second query's part of the database has one image
    return Evaluation({}, database, queries, predictions, np.ones((2, 3)), None, 25.0, 0.0)


def test_pairs_of_hloc(tmp_path: Path):
    save_predictions(evaluation(tmp_path), ["hloc"], tmp_path, 2)
    assert (tmp_path / "pairs.txt").read_text() == (
        "queries_night/q1.jpg database/sub/b.jpg\nqueries_night/q1.jpg database/a.jpg\n"
        "queries_night/q2.jpg database/c c.jpg\n"
    )


def test_the_csv_file_of_msls(tmp_path: Path):
    save_predictions(evaluation(tmp_path), ["msls"], tmp_path, 3)
    assert (tmp_path / "msls_predictions.csv").read_text() == "q1 b a c c\nq2 c c\n"
    assert not (tmp_path / "pairs.txt").exists()


def test_descriptors_of_hloc(tmp_path: Path):
    """Read back as hloc's list_h5_names and get_descriptors do."""
    h5py = pytest.importorskip("h5py")
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(5, 8)).astype(np.float32)
    database = places(tmp_path / "set/database", "a.jpg", "sub/b.jpg", "torn.jpg", "d.jpg")
    queries = places(tmp_path / "set/queries", "a.jpg", "q.jpg")
    tables = [(filled([3, 0, 1], vectors[:3]), database), (filled([0, 1], vectors[3:]), queries)]
    save_hloc(tmp_path / "out.h5", tables)
    names: set[str] = set()
    with h5py.File(tmp_path / "out.h5") as stored:
        stored.visititems(lambda _, item: names.add(item.parent.name.strip("/")) if hasattr(item, "dtype") else None)
        assert np.array_equal(stored["database/d.jpg"]["global_descriptor"].__array__(), vectors[0])
        assert np.array_equal(stored["database/sub/b.jpg"]["global_descriptor"].__array__(), vectors[2])
        assert np.array_equal(stored["queries/q.jpg"]["global_descriptor"].__array__(), vectors[4])
        assert stored.attrs["image_folder"] == str(tmp_path / "set")
    assert names == {"database/d.jpg", "database/a.jpg", "database/sub/b.jpg", "queries/a.jpg", "queries/q.jpg"}
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5"]


def test_one_folder_for_both(tmp_path: Path):
    assert common_folder([places(tmp_path, "a/1.jpg"), places(tmp_path, "b/1.jpg")]) == tmp_path


def test_without_h5py_one_line_names_the_flag(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ArgumentError, match="`save_descriptors`: hloc needs the package h5py: pip install h5py"):
        check_h5py()


def test_names_that_are_no_keys_of_msls_are_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    images = places(tmp_path, "a.jpg")
    with caplog.at_level(logging.WARNING):
        check_keys([TestSet("msls/val", images, images, layout="msls"), TestSet("town/test", images, images)])
    assert [record.getMessage() for record in caplog.records] == [
        "town/test: its layout is folders, not msls, so msls_predictions.csv contains file names, which the evaluation "
        "of MSLS does not accept, instead of keys"
    ]
