import numpy as np
import pytest

from commons.errors import ArgumentError
from retrieval.index import search
from retrieval.pq import PQ
from tests.retrieval.test_index import filled, unit


def test_codes_give_candidates_and_descriptors_their_order():
    """The second stage computes cosines from the descriptors, so more candidates find more."""
    draw = np.random.default_rng(0)
    views, queries = unit(draw, 2000, 32), unit(draw, 50, 32)
    table = filled(views)
    exact, cosines = search(table, queries, 10)
    recalls = []
    for candidates in (10, 20, 0):
        built = PQ(table, candidates=candidates)
        similarities, found = built.search(queries, 10)
        assert np.allclose(similarities, (views[found] * queries[:, None]).sum(axis=2), atol=1e-5)
        recalls.append(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact, strict=True)]))
    assert recalls[0] < recalls[1] < recalls[2] == 1
    assert np.allclose(similarities, cosines, atol=1e-5)
    assert built.index.code_size == 32 // 8


@pytest.mark.parametrize(("dim", "parts"), [(32, 8), (12, 3), (3, 1), (7, 1)])
def test_four_dimensions_share_a_code_where_they_can(dim: int, parts: int):
    built = PQ(filled(unit(np.random.default_rng(0), 60, dim)))
    assert int(built.index.M) == parts


def test_parts_must_divide_the_dimension():
    table = filled(unit(np.random.default_rng(0), 60, 12))
    assert int(PQ(table, parts=6).index.M) == 6
    with pytest.raises(ArgumentError, match="parts=5 does not divide the 12 dimensions"):
        PQ(table, parts=5)
