from pathlib import Path

import numpy as np
import pytest

from commons.errors import PlacewiseError
from datasets.positives import from_lists, from_matrix, within_frames

SOURCE = Path("gt.npy")


def lists(positives) -> list[list[int]]:
    return [positives.of(query).tolist() for query in range(len(positives))]


def test_by_hand():
    positives = from_lists([[4, 0, 4], [], [2]], 5, SOURCE)
    assert lists(positives) == [[0, 4], [], [2]]
    assert positives.counts.tolist() == [2, 0, 1]
    assert positives.first.tolist() == [0, -1, 2]
    found = positives.contains(np.array([[4, 1, 0], [0, 2, 4], [2, 2, -1]]))
    assert found.tolist() == [[True, False, True], [False, False, False], [True, True, False]]


def test_images_that_cannot_be_decoded_are_left_out():
    """Of five database images the rows 0 and 3 are gone, of three queries the first."""
    positives = from_lists([[4], [0, 4, 1], [3]], 5, SOURCE).take(np.array([1, 2]), np.array([1, 2, 4]))
    assert lists(positives) == [[0, 2], []]
    assert positives.database == 3


def test_a_matrix_and_frames():
    assert lists(from_matrix(np.array([[0, 1, 1], [0, 0, 0]], bool))) == [[1, 2], []]
    assert lists(within_frames(np.array([0, 3, 6]), 7, 1)) == [[0, 1], [2, 3, 4], [5, 6]]
    assert lists(from_lists([], 3, SOURCE)) == []
    assert from_lists([[], []], 3, SOURCE).contains(np.array([[0], [1]])).tolist() == [[False], [False]]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([[0], [5]], "query 1 has the correct image 5, but the database has 5 images, 0 to 4"),
        ([[-1]], "query 0 has the correct image -1"),
        ([[0.5]], "the correct images of query 0 are not a list of rows"),
        ([["a"]], "not a list of rows"),
    ],
)
def test_rows_that_do_not_exist_are_refused(given: list, words: str):
    with pytest.raises(PlacewiseError, match=words):
        from_lists(given, 5, SOURCE)
