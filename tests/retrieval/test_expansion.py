import tempfile

import numpy as np
import pytest

from commons.errors import ArgumentError
from retrieval import expansion as module
from retrieval.expansion import augment_database, check_neighbours, expand_queries
from retrieval.table import DescriptorTable
from tests.retrieval.test_index import HERE, filled, unit

DATABASE = np.float32([[1, 0], [0.6, 0.8], [0, 1], [-1, 0]])


def table(vectors: np.ndarray) -> DescriptorTable:
    made = DescriptorTable(len(vectors), vectors.shape[1])
    made.add([(np.arange(len(vectors)), vectors)])
    return made


def collected(blocks) -> np.ndarray:
    """Descriptors in the order of their rows."""
    rows, descriptors = map(np.concatenate, zip(*blocks, strict=True))
    return descriptors[np.argsort(rows)]


def test_query_expansion_by_hand():
    """The query (0.8, 0.6) has cosines 0.96, 0.8, 0.6 and -0.8 with (0.6, 0.8), (1, 0), (0, 1) and (-1, 0)."""
    query = table(np.float32([[0.8, 0.6]]))
    # 0.8^2 (1, 0) + 0.96^2 (0.6, 0.8) + (0.8, 0.6) = (1.99296, 1.33728)
    expected = np.array([1.99296, 1.33728]) / np.hypot(1.99296, 1.33728)
    assert np.allclose(collected(expand_queries(query, table(DATABASE), 2, 2.0)), [expected])
    # alpha 0: the plain sum of the query and its two nearest
    expected = np.array([2.4, 1.4]) / np.hypot(2.4, 1.4)
    assert np.allclose(collected(expand_queries(query, table(DATABASE), 2, 0.0)), [expected])


def test_opposite_neighbours_weigh_nothing():
    query, database = table(np.float32([[1, 0]])), table(np.float32([[-0.6, 0.8], [0.8, 0.6]]))
    expected = np.array([1 + 0.8**4, 0.8**3 * 0.6])
    found = collected(expand_queries(query, database, 2, 3.0))
    assert np.allclose(found, [expected / np.linalg.norm(expected)])


def test_database_augmentation_by_hand():
    """The nearest other one of each, with cosines 0.6, 0.8, 0.8 and 0 (of (0, 1))."""
    sums = np.array([[1 + 0.6 * 0.6, 0.6 * 0.8], [0.6, 0.8 + 0.8], [0.8 * 0.6, 1 + 0.8 * 0.8], [-1, 0]])
    expected = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    assert np.allclose(collected(augment_database(table(DATABASE), 1, 1.0)), expected, atol=1e-6)


def plain(own: np.ndarray, database: np.ndarray, count: int, alpha: float, leave_out: bool) -> np.ndarray:
    expanded = []
    for number, vector in enumerate(own):
        cosines = database @ vector
        if leave_out:
            cosines[number] = -2
        best = np.argsort(-cosines)[:count]
        total = vector + sum(max(cosines[i], 0) ** alpha * database[i] for i in best)
        expanded.append(total / np.linalg.norm(total))
    return np.array(expanded)


@pytest.mark.parametrize("on_disk", [False, True])
def test_equals_a_plain_loop_whatever_the_blocks_and_the_order(on_disk: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BLOCK", 16)
    monkeypatch.setattr(module, "STEP", 5)
    draw = np.random.default_rng(0)
    database, queries, order = unit(draw, 50), unit(draw, 21), draw.permutation(50)
    with tempfile.TemporaryFile() as file:
        shuffled = filled(database[order], order, file if on_disk else None)
        augmented = collected(augment_database(shuffled, 4, 3.0))
        expanded = collected(expand_queries(filled(queries), shuffled, 4, 3.0))
    tolerance = 2e-3 if on_disk else 1e-5
    assert augmented.dtype == expanded.dtype == np.float32
    assert np.allclose(augmented, plain(database, database, 4, 3.0, True), atol=tolerance)
    assert np.allclose(expanded, plain(queries, database, 4, 3.0, False), atol=tolerance)


@pytest.mark.parametrize("index", HERE)
def test_every_index(index: str):
    """1,200 views of 120 places: each view's nine nearest are the others of its place."""
    draw = np.random.default_rng(0)
    database = np.repeat(unit(draw, 120, 16), 10, axis=0) + 0.03 * draw.normal(size=(1200, 16)).astype(np.float32)
    database /= np.linalg.norm(database, axis=1, keepdims=True)
    augmented = collected(augment_database(table(database), 9, 3.0, index))
    exact = plain(database, database, 9, 3.0, True)
    assert ((augmented * exact).sum(axis=1) > 0.9999).mean() > 0.99


def test_twins_do_not_stand_in_for_the_image_itself():
    """Three equal descriptors: each has the two others as neighbours, however their ties are broken."""
    database = np.float32([[1, 0], [1, 0], [1, 0], [0, 1]])
    assert np.allclose(collected(augment_database(table(database), 2, 1.0))[:3], [1, 0])
    assert np.allclose(collected(augment_database(table(database), 3, 0.0))[0], np.array([3, 1]) / np.sqrt(10))


def test_more_neighbours_than_images_are_refused():
    check_neighbours(6, 5, 6)
    with pytest.raises(ArgumentError, match="`query_expansion`: 7 is more than the 6 neighbours in a database of 6"):
        check_neighbours(7, 0, 6)
    with pytest.raises(ArgumentError, match="`database_augmentation`: 6 is more than the 5 neighbours"):
        check_neighbours(0, 6, 6)
