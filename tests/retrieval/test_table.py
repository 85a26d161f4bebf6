import tempfile
from pathlib import Path

import numpy as np
import pytest

from commons.errors import PlacewiseError
from retrieval import table as module
from retrieval.table import DescriptorTable
from tests.retrieval.test_index import unit


@pytest.mark.parametrize("on_disk", [False, True])
def test_rows_come_in_any_order_and_may_be_fewer_than_expected(on_disk: bool):
    draw = np.random.default_rng(0)
    database, order = unit(draw, 50), draw.permutation(50)[:40]
    with tempfile.TemporaryFile() as file:
        table = DescriptorTable(50, 8, file if on_disk else None)
        table.add((rows, database[rows]) for rows in np.array_split(order, 6))
        assert len(table) == 40
        assert np.array_equal(table.rows, order) and table.rows.dtype == np.int64
        assert table.vectors.dtype == (np.float16 if on_disk else np.float32)
        assert np.allclose(table.vectors, database[order], atol=1e-3 if on_disk else 0)
        ascending = table.descriptors(3, 20)
        assert ascending.dtype == np.float32
        assert np.allclose(ascending, database[np.sort(order)[3:20]], atol=1e-3 if on_disk else 0)


def test_what_is_on_disk_takes_its_place_there_at_once(tmp_path: Path):
    """So that a full disk is found before anything is computed."""
    with open(tmp_path / "descriptors", "w+b") as file:
        DescriptorTable(1000, 64, file)
        file.flush()
        status = (tmp_path / "descriptors").stat()
    assert status.st_size == 1000 * 64 * 2
    assert status.st_blocks * 512 >= status.st_size


def test_descriptors_that_are_no_numbers_are_refused():
    with pytest.raises(PlacewiseError, match="NaN or inf; try `precision` fp32"):
        DescriptorTable(1, 8).add([(np.array([0]), np.full((1, 8), np.nan, np.float32))])


def test_saved_descriptors_follow_their_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BLOCK", 3)
    database = unit(np.random.default_rng(0), 6)
    table = DescriptorTable(6, 8)
    table.add([(np.array([5, 1]), database[[5, 1]]), (np.array([0, 3]), database[[0, 3]])])
    table.save(tmp_path, "database", lambda row: Path(f"{row}.jpg"))
    saved = np.load(tmp_path / "database_descriptors.npy")
    assert saved.dtype == np.float32
    assert np.array_equal(saved, database[[0, 1, 3, 5]])
    assert (tmp_path / "database_paths.txt").read_text().split() == ["0.jpg", "1.jpg", "3.jpg", "5.jpg"]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_part_is_a_view_of_some_dimensions():
    database = unit(np.random.default_rng(0), 6)
    table = DescriptorTable(9, 8)
    table.add([(np.arange(6)[::-1], database)])
    part = table.part(2, 5)
    assert (len(part), part.dim) == (6, 3)
    assert np.array_equal(part.descriptors(), database[::-1, 2:5])
    assert np.shares_memory(part.vectors, table.vectors)
    assert table.dim == 8
