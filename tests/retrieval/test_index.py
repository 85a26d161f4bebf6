import tempfile
from types import SimpleNamespace

import faiss
import numpy as np
import pytest

from commons.errors import ArgumentError
from retrieval import INDICES
from retrieval import index as module
from retrieval.index import search, tie_groups
from retrieval.table import DescriptorTable

HERE = [name for name in INDICES if name not in ("milvus", "stored")]  # they have files of their own


def unit(draw: np.random.Generator, count: int, dim: int = 8) -> np.ndarray:
    x = draw.normal(size=(count, dim)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def filled(database: np.ndarray, rows: np.ndarray | None = None, file: object = None) -> DescriptorTable:
    table = DescriptorTable(len(database) + 3, database.shape[1], file)
    rows = np.arange(len(database)) if rows is None else rows
    table.add([(rows[:7], database[:7]), (rows[7:], database[7:])])
    return table


@pytest.fixture(scope="module")
def places() -> tuple[np.ndarray, np.ndarray]:
    """Descriptors of 120 places with 10 images each, and 100 queries."""
    draw = np.random.default_rng(0)
    centres = unit(draw, 120, 16)
    views = np.repeat(centres, 10, axis=0) + 0.3 * unit(draw, 1200, 16)
    return views / np.linalg.norm(views, axis=1, keepdims=True), centres[:100]


@pytest.mark.parametrize("block", [16, 1000])
def test_flat_equals_sorting_by_cosine_in_whatever_order_rows_came(block: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BLOCK", block)
    draw = np.random.default_rng(0)
    database, queries, order = unit(draw, 50), unit(draw, 7), draw.permutation(50)
    rows, similarities = search(filled(database[order], order), queries, 20)
    cosines = queries @ database.T
    assert (rows.dtype, similarities.dtype) == (np.int64, np.float32)
    assert np.array_equal(rows, np.argsort(-cosines, axis=1)[:, :20])
    assert np.allclose(similarities, -np.sort(-cosines, axis=1)[:, :20], atol=1e-6)


def test_float16_on_disk_finds_what_float32_finds(places: tuple, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BLOCK", 300)
    exact_rows, exact = search(filled(places[0]), places[1], 10)
    with tempfile.TemporaryFile() as file:
        rows, similarities = search(filled(places[0], file=file), places[1], 10)
    assert np.array_equal(np.sort(rows), np.sort(exact_rows))
    assert np.allclose(similarities, exact, atol=1e-3)


@pytest.mark.parametrize("index", HERE)
def test_fewer_entries_than_asked_for(index: str, places: tuple):
    database = places[0] if index in module.LEAST else unit(np.random.default_rng(0), 9)
    rows, similarities = search(filled(database), database[:2], 10_000, index)
    assert np.array_equal(np.sort(rows), np.tile(np.arange(len(database)), (2, 1)))
    assert np.allclose(np.take_along_axis(database[:2] @ database.T, rows, 1), similarities, atol=1e-3)


@pytest.mark.parametrize("index", ["hnsw", "ivfpq", "binary", "pq", "ivf_fp16", "ivf_sq8"])
def test_approximate_indices_find_nearly_what_exact_search_finds(index: str, places: tuple):
    table = filled(places[0])
    exact, exact_similarities = search(table, places[1], 20)
    rows, similarities = search(table, places[1], 20, index)
    assert np.mean([len(set(a) & set(b)) for a, b in zip(rows, exact, strict=True)]) > 18.5
    assert (rows[:, 0] == exact[:, 0]).mean() > 0.95
    assert (np.diff(similarities) <= 0).all()
    assert np.allclose(similarities[:, 0], exact_similarities[:, 0], atol=0.02)


@pytest.mark.parametrize(("index", "dim"), [("hnsw", 32), ("ivfpq", 8)])
def test_approximate_indices_look_widely_for_few_neighbours(index: str, dim: int):
    draw = np.random.default_rng(0)
    table, queries = filled(unit(draw, 1200, dim)), unit(draw, 200, dim)
    exact, _ = search(table, queries, 3)
    found, _ = search(table, queries, 3, index)
    assert found.shape == (200, 3) and np.mean(found == exact) > 0.97


@pytest.mark.parametrize("index", HERE)
def test_equal_descriptors_are_ordered_by_row(index: str, places: tuple, monkeypatch: pytest.MonkeyPatch):
    """Twins far apart in the table, added in descending order, whose similarity to a query differs by rounding."""
    monkeypatch.setattr(module, "BLOCK", 300)
    database = places[0].copy()
    database[[70, 1100, 900]] = database[0] * np.float32([[1 - 1e-7], [1 + 1e-7], [1]])
    order = np.arange(1200)[::-1]
    rows, _ = search(filled(database[order], order), database[:1], 20, index)
    assert rows[0, :4].tolist() == [0, 70, 900, 1100]
    assert len(set(rows[0])) == 20


def test_tie_groups_by_hand():
    similarities = np.array([[0.9, 0.9 - 8e-7, 0.9 - 1.6e-6, 0.8], [0.9, 0.8, 0.7, 0.7]], np.float32)
    assert tie_groups(similarities).tolist() == [[0, 0, 0, 1], [0, 1, 2, 2]]


def test_a_small_table_has_no_code():
    with pytest.raises(ArgumentError, match="`index`: ivfpq .* 999; use flat"):
        search(filled(unit(np.random.default_rng(0), 999)), np.eye(8, dtype=np.float32), 5, "ivfpq")


def test_a_gpu_searches_each_block(places: tuple, monkeypatch: pytest.MonkeyPatch):
    calls, scratch = [], []
    gpu = SimpleNamespace(setTempMemory=scratch.append)

    def knn_gpu(resources: object, queries: np.ndarray, block: np.ndarray, k: int, metric: int) -> tuple:
        assert resources is gpu and block.dtype == np.float32
        calls.append(len(block))
        return faiss.knn(queries, block, k, metric)

    exact, _ = search(filled(places[0]), places[1], 10)
    monkeypatch.setattr(module, "BLOCK", 500)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", lambda: gpu, raising=False)
    monkeypatch.setattr(faiss, "knn_gpu", knn_gpu)
    with tempfile.TemporaryFile() as file:
        rows, _ = search(filled(places[0], file=file), places[1], 10)
    assert np.array_equal(np.sort(rows), np.sort(exact))
    assert calls == [500, 500, 200]
    assert scratch == [2**28]


@pytest.mark.parametrize("on_disk", [False, True])
def test_candidates_are_ranked_in_blocks(on_disk: bool, places: tuple, monkeypatch: pytest.MonkeyPatch):
    """The similarities of IVFPQ are the products of each query with the descriptors it found, one by one."""
    monkeypatch.setattr(module, "CANDIDATES", 4 * 100 * 16 * 7)  # seven queries at once, two at the end
    with tempfile.TemporaryFile() as file:
        table = filled(places[0], file=file if on_disk else None)
        similarities, found = module.IVFPQ(table).search(places[1], 20)
        vectors = table.vectors.astype(np.float32)
    plain = np.stack([vectors[rows] @ query for query, rows in zip(places[1], found, strict=True)])
    known = found >= 0
    assert similarities.dtype == np.float32 and known.mean() > 0.9
    assert np.allclose(similarities[known], plain[known], atol=1e-6)


def test_blocks_of_queries_are_searched_in_one_index(places: tuple, monkeypatch: pytest.MonkeyPatch):
    built = []

    def counted(table: DescriptorTable, k: int) -> module.Flat:
        built.append(k)
        return module.Flat(table, k)

    monkeypatch.setitem(INDICES, "flat", counted)
    found = [rows for rows, _ in module.nearest(filled(places[0]), np.split(places[1], 4), 3)]
    whole, _ = search(filled(places[0]), places[1], 3)
    assert np.array_equal(np.sort(np.concatenate(found)), np.sort(whole))
    assert built == [3, 3]
