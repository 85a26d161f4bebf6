from itertools import product

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from retrieval.paths import path_posteriors


def row_of_places(count: int, reach: int) -> csr_matrix:
    """Moves along a row of places, to those that are at most so many places away, to the next ones most likely."""
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    return csr_matrix(np.where(apart <= reach, 1 / (1 + apart), 0))


def test_posteriors_equal_the_sum_over_all_paths():
    """Every path of 4 photos through 5 places, one by one."""
    moves, jump = row_of_places(5, 1), 0.03
    likely = np.random.default_rng(0).uniform(0.01, 1, (4, 5))
    move = (1 - jump) * moves.toarray() / moves.toarray().sum(axis=1, keepdims=True) + jump / 5
    expected = np.zeros((4, 5))
    for path in product(range(5), repeat=4):
        weight = np.prod([likely[t, c] for t, c in enumerate(path)])
        weight *= np.prod([move[a, b] for a, b in zip(path, path[1:], strict=False)])
        for t, c in enumerate(path):
            expected[t, c] += weight
    expected /= expected.sum(axis=1, keepdims=True)
    found = path_posteriors(np.log(likely) + 7, moves, jump)
    assert np.exp(found) == pytest.approx(expected, rel=1e-9)


def test_voting_mends_a_wrong_photo_and_moves_no_right_one():
    """A drive along 20 cells, one cell a photo; photo 7 looks most like a cell far away."""
    similarity = np.random.default_rng(1).normal(0, 0.05, (20, 20))
    similarity[np.arange(20), np.arange(20)] += 0.6
    similarity[7, 17] = 0.9
    assert similarity[7].argmax() == 17
    votes = path_posteriors(36 * similarity, row_of_places(20, 1))
    assert np.array_equal(votes.argmax(axis=1), np.arange(20))
    assert np.exp(votes).sum(axis=1) == pytest.approx(1)
    # Without a limit of the way between photos, each photo stands alone.
    alone = path_posteriors(36 * similarity, csr_matrix(np.ones((20, 20))))
    assert alone[7].argmax() == 17


def test_a_path_that_cannot_be_still_has_an_answer():
    likely = np.full((3, 4), -800.0)
    likely[[0, 1, 2], [0, 3, 0]] = 0
    votes = path_posteriors(likely, row_of_places(4, 0))
    assert np.isfinite(votes).all() and votes.argmax(axis=1).tolist() == [0, 3, 0]
    assert path_posteriors(np.zeros((0, 4)), row_of_places(4, 0)).shape == (0, 4)
