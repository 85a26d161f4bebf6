from pathlib import Path

import numpy as np
import pytest

from commons.errors import PlacewiseError
from retrieval.index import DescriptorIndex


def unit(draw: np.random.Generator, count: int, dim: int = 8) -> np.ndarray:
    x = draw.normal(size=(count, dim)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_search_equals_sorting_by_cosine_in_whatever_order_rows_came():
    draw = np.random.default_rng(0)
    database, queries = unit(draw, 50), unit(draw, 7)
    order = draw.permutation(50)
    index = DescriptorIndex(8)
    index.add((rows, database[rows]) for rows in np.array_split(order, 6))
    rows, similarities = index.search(queries, 5)
    cosines = queries @ database.T
    assert np.array_equal(rows, np.argsort(-cosines, axis=1)[:, :5])
    assert np.allclose(similarities, -np.sort(-cosines, axis=1)[:, :5], atol=1e-5)
    assert np.allclose(index.descriptors(), database)


def test_fewer_entries_than_asked_for():
    index = DescriptorIndex(8)
    index.add([(np.array([4]), unit(np.random.default_rng(0), 1))])
    rows, _ = index.search(unit(np.random.default_rng(1), 2), 100)
    assert rows.tolist() == [[4], [4]]


def test_descriptors_that_are_no_numbers_are_refused():
    with pytest.raises(PlacewiseError, match="--precision"):
        DescriptorIndex(8).add([(np.array([0]), np.full((1, 8), np.nan, np.float32))])


def test_saved_descriptors_follow_their_paths(tmp_path: Path):
    database = unit(np.random.default_rng(0), 6)
    index = DescriptorIndex(8)
    index.add([(np.array([5, 1]), database[[5, 1]]), (np.array([0, 3]), database[[0, 3]])])
    index.save(tmp_path, "database", lambda row: Path(f"{row}.jpg"))
    saved = np.load(tmp_path / "database_descriptors.npy")
    assert saved.dtype == np.float32
    assert np.allclose(saved, database[[0, 1, 3, 5]])
    assert (tmp_path / "database_paths.txt").read_text().split() == ["0.jpg", "1.jpg", "3.jpg", "5.jpg"]
    assert len(list(tmp_path.iterdir())) == 2
