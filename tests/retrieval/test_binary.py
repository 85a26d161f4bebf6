import numpy as np

from retrieval.binary import Binary
from retrieval.index import search
from tests.retrieval.test_index import filled, unit


def test_signs_by_hand_and_ranking_by_descriptors():
    vectors = np.float32([[0.8, 0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    built = Binary(filled(vectors))
    assert np.allclose(built.mean, vectors.mean(axis=0))
    assert built._signs(vectors)[:, 0].tolist() == [0b11000000, 0b11000000, 0b00100000]
    similarities, found = built.search(np.float32([[0, 1, 0]]), 2)
    assert found.tolist() == [[1, 0]] and np.allclose(similarities, [[0.8, 0.6]])


def test_more_candidates_find_more_of_a_shifted_cloud():
    """All descriptors lie in one direction: signs of the values themselves would all be equal."""
    draw = np.random.default_rng(0)
    shift = 3 * unit(draw, 1, 64)
    views = np.repeat(unit(draw, 500, 64), 10, axis=0) + 0.5 * unit(draw, 5000, 64) + shift
    table = filled(views / np.linalg.norm(views, axis=1, keepdims=True))
    assert table.vectors.mean(axis=0) @ shift[0] > 0
    queries = table.vectors[::25] + 0.05 * unit(draw, 200, 64)
    exact, _ = search(table, queries, 10)
    recalls = []
    for candidates in (10, 100, 0):
        found = Binary(table, candidates=candidates).search(queries, 10)[1]
        recalls.append(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact, strict=True)]))
    assert recalls[0] < recalls[1] < recalls[2] and recalls[2] > 0.99
