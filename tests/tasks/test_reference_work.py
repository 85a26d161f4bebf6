from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import Point

from cells.region import cut_region
from commons.errors import ArgumentError, PlacewiseError
from tasks.reference_database import FEATURES, FILLED
from tasks.reference_work import BAND, DONE, Work, WorkFiles, check_plan, start_files


@pytest.fixture(scope="module")
def work() -> Work:
    """A disc of about 100 rows."""
    return Work(cut_region(Point(8, 50).buffer(0.0135)), 7)


def test_each_cell_is_in_one_batch(work: Work):
    sizes, everything = work.sizes(), np.arange(len(work))
    cells = np.concatenate([part[1] for part in work.parts(everything)])
    assert np.array_equal(np.sort(cells), np.arange(len(work.cells))) and sizes.sum() == len(cells)
    assert 0 < sizes.min() < 7 == sizes.max()
    numbers, owners = np.concatenate([part[0] for part in work.parts(everything)]), np.repeat(everything, sizes)
    assert np.array_equal(numbers, everything)
    alone = np.concatenate([next(iter(work.parts(np.array([own]))))[1] for own in everything])
    assert np.array_equal(alone, cells)
    # Whatever else is asked for, a batch has the same cells.
    some = np.sort(np.random.default_rng(0).choice(len(work), 40, replace=False))
    asked = np.concatenate([part[1] for part in work.parts(some)])
    assert np.array_equal(asked, cells[np.isin(owners, some)])


def test_bands_are_described_from_west_to_east(work: Work):
    rows, _ = work.cells.places(np.arange(len(work.cells)))
    bands = [part[1] for part in work.parts(np.arange(len(work)))]
    assert len(bands) == -(-np.ptp(work.cells.rows) // BAND)
    for cells in bands:
        assert np.ptp(rows[cells]) < BAND and (np.diff(work.cells.centres(cells).longitude) >= 0).all()


def open_files(folder: Path) -> WorkFiles:
    start_files(folder, {"batch_size": 2}, {FEATURES: 5 * 3 * 2, FILLED: 5, DONE: 3})
    return WorkFiles(folder, 5, 3, "float16", 3)


def test_batches_are_marked_when_they_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files = open_files(tmp_path)
    assert not files.write(1, np.array([4, 0]), np.array([[1, 2, 3], [4, 5, 6]]), np.array([1.0, 0.0]))
    assert np.fromfile(tmp_path / DONE, np.uint8).tolist() == [0, 0, 0]
    order = []
    for name in ("descriptors", "filled", "done"):
        mapped = getattr(files, name)
        spy = type("Spy", (np.memmap,), {"flush": lambda own, name=name: order.append((name, files.done.tolist()))})
        monkeypatch.setattr(files, name, mapped.view(spy))
    files.commit()
    assert order == [("descriptors", [0, 0, 0]), ("filled", [0, 0, 0]), ("done", [0, 1, 0])]
    found = np.fromfile(tmp_path / FEATURES, np.float16).reshape(5, 3)
    assert found[4].tolist() == [1, 2, 3] and not found[:4].any()  # cell 0 shows nothing
    assert np.fromfile(tmp_path / FILLED, np.uint8).tolist() == [0, 0, 0, 0, 255]
    with pytest.raises(PlacewiseError, match="NaN or inf"):
        files.write(0, np.array([1]), np.full((1, 3), np.nan), np.ones(1))
    assert open_files(tmp_path).done.tolist() == [0, 1, 0]  # opened again, nothing is lost


def test_marks_do_not_outlive_their_files(tmp_path: Path):
    files = open_files(tmp_path)
    files.write(2, np.array([3]), np.ones((1, 3)), np.ones(1))
    files.commit()
    (tmp_path / FILLED).unlink()
    (tmp_path / ".faiss-abc.index").write_bytes(b"half")
    assert open_files(tmp_path).done.tolist() == [0, 0, 0] and not (tmp_path / ".faiss-abc.index").exists()


def test_another_plan_is_refused(tmp_path: Path):
    assert check_plan(tmp_path / "new", {"batch_size": 2}) is False
    open_files(tmp_path)
    assert check_plan(tmp_path, {"batch_size": 2}) is False
    with pytest.raises(ArgumentError, match="was built with 2, not 4") as error:
        check_plan(tmp_path, {"batch_size": 4})
    assert error.value.argument == "batch_size"
