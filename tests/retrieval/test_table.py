import tempfile
from pathlib import Path

import numpy as np
import pytest

from commons.errors import PlacewiseError
from retrieval import table as module
from retrieval.codes import CODECS
from retrieval.index import search
from retrieval.table import CodedTable, DescriptorTable, stored_as
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


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize(("kind", "size"), [("float32", 64), ("float16", 32), ("int8", 16), ("binary", 2)])
def test_a_table_in_another_type_keeps_its_rows(kind: str, size: int, on_disk: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CODES_PART", 64)
    monkeypatch.setattr(module, "BLOCK", 50)
    draw = np.random.default_rng(0)
    centres = unit(draw, 30, 16)
    views = np.repeat(centres, 10, axis=0) + 0.3 * unit(draw, 300, 16)
    views, order = views / np.linalg.norm(views, axis=1, keepdims=True), draw.permutation(300)
    with tempfile.TemporaryFile() as own, tempfile.TemporaryFile() as file:
        table = DescriptorTable(310, 16, own if kind == "float32" else None)
        table.add([(order, views[order])])
        stored = stored_as(table, kind, file if on_disk else None)
        assert (stored.kind, stored.bytes_a_descriptor, stored.vectors.nbytes) == (kind, size, 300 * size)
        assert np.array_equal(stored.rows, order) and len(stored) == 300 and stored_as(stored, kind) is stored
        assert on_disk == (file.seek(0, 2) >= 300 * size)
        near = {"float32": 1e-3, "float16": 1e-3, "int8": 5e-3, "binary": 0.6}[kind]
        assert np.allclose(stored.descriptors(), views, atol=near)
        rows, similarities = search(stored, centres, 10)
        right = (rows // 10 == np.arange(30)[:, None]).mean()
        assert right == 1 if kind != "binary" else right > 0.8
        assert np.allclose(similarities, (stored.descriptors()[rows] * centres[:, None]).sum(axis=2), atol=1e-5)
        among = stored.among(np.arange(100))
        assert np.array_equal(among.descriptors(), stored.descriptors(0, 100))


@pytest.mark.parametrize("kind", CODECS)
def test_codes_of_a_block_do_not_depend_on_others(kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CODES_PART", 20)
    database = unit(np.random.default_rng(0), 50)
    table = DescriptorTable(50, 8)
    table.add([(np.arange(50), database)])
    codec = CODECS[kind].fit(database[20:40])
    assert np.array_equal(CodedTable(table, kind).vectors[20:40], codec.decode(codec.encode(database[20:40])))
    assert len(CodedTable(DescriptorTable(0, 8), kind)) == 0
