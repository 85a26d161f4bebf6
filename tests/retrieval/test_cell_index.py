from pathlib import Path

import numpy as np
import pytest

from commons.errors import ArgumentError, PlacewiseError
from retrieval import cell_index
from retrieval.cell_index import FLAT_CELLS, CellIndex, Rows, build_index, choose_kind, index_bytes


def unit(count: int, dim: int) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(size=(count, dim)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hnsw", "ivfpq"])
@pytest.mark.parametrize("numbers", [np.float32, np.float16])
def test_files_have_the_size_that_was_announced(tmp_path: Path, kind: str, numbers: type):
    table = unit(3_000, 32).astype(numbers)
    build_index(kind, Rows(table), tmp_path / "index")
    announced = index_bytes(kind, *table.shape, table.itemsize)
    assert (tmp_path / "index").stat().st_size == pytest.approx(announced, rel=0.06)


def test_auto_chooses_what_fits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cell_index, "memory_bytes", lambda: 24 << 30)
    assert choose_kind("auto", FLAT_CELLS, 1024, 4) == "flat"
    assert choose_kind("auto", 1_000_000, 1024, 4) == "hnsw"
    assert choose_kind("auto", 25_600_000, 1024, 2) == "ivfpq" == choose_kind("ivfpq", 25_600_000, 1024, 2)
    assert index_bytes("hnsw", 25_600_000, 1024, 4) > 105e9 and index_bytes("ivfpq", 25_600_000, 1024, 2) < 2e9
    with pytest.raises(ArgumentError, match="at least 1000 cells"):
        choose_kind("ivfpq", 999, 1024, 4)


def test_an_index_of_other_rows_is_refused(tmp_path: Path):
    build_index("hnsw", Rows(unit(300, 8)), tmp_path / "index")
    with pytest.raises(PlacewiseError, match="contains 300 descriptors of 8 dimensions instead of 299 of 8"):
        CellIndex(Rows(unit(300, 8), np.arange(299)), tmp_path / "index")


def test_equally_similar_rows_are_in_the_order_of_their_positions():
    table = np.tile(unit(1, 8), (40, 1))
    kept = np.arange(0, 40, 3)
    _, found = CellIndex(Rows(table, kept)).search(table[:1], len(kept))
    assert found[0].tolist() == kept.tolist()
