"""The votes of crops, by hand and against a plain loop over queries."""

import numpy as np
import pytest

from tasks.votes import majority_voting, nearest_crop

# Five crops, three predictions each. Image 7 is in three crops, image 4 is nearest once.
ROWS = np.array([[[4, 1, 2], [7, 8, 9], [7, 3, 1], [5, 7, 6], [0, 2, 3]]])
SIMILARITIES = np.array(
    [[[0.90, 0.80, 0.70], [0.895, 0.60, 0.50], [0.85, 0.65, 0.64], [0.82, 0.81, 0.30], [0.75, 0.74, 0.73]]]
)


def test_the_nearest_crop_of_each_image_by_hand():
    rows, similarities, scores = nearest_crop(ROWS, SIMILARITIES)
    assert rows.tolist() == [[4, 7, 5]]
    assert similarities.tolist() == scores.tolist() == [[0.90, 0.895, 0.82]]


def test_majority_voting_by_hand():
    """Squared distances 2 - 2 s. Image 7: two of the first ones (0.01 * 2 / 1), three of the first five and ten."""
    rows, similarities, scores = majority_voting(ROWS, SIMILARITIES)
    seven = 2 - 2 * 0.895 - 0.01 * 2 - 0.01 * 3 / 5 - 0.01 * 3 / 10
    four = 2 - 2 * 0.90
    assert seven < four
    assert rows.tolist() == [[7, 4, 5]] and similarities.tolist() == [[0.895, 0.90, 0.82]]
    assert (2 - 2 * scores[0, :2]).tolist() == pytest.approx([seven, four])


def by_loops(rows: np.ndarray, similarities: np.ndarray, weight: float) -> list[list[int]]:
    """As the paper's text has it: each crop's list, votes among the first 1, 5 and 10, nearest first."""
    found = []
    for own, cosines in zip(rows, similarities, strict=True):
        best: dict[int, float] = {}
        for crop, of_crop in zip(own, cosines, strict=True):
            for place, (image, cosine) in enumerate(zip(crop.tolist(), of_crop.tolist(), strict=True)):
                distance = 2 - 2 * cosine
                for first in (1, 5, 10):
                    votes = sum(image in other[:first].tolist() for other in own)
                    if place < first and votes > 1:
                        distance -= weight * votes / first
                best[image] = min(distance, best.get(image, np.inf))
        found.append(sorted(best, key=best.get)[: rows.shape[2]])
    return found


@pytest.mark.slow
def test_many_queries_as_in_a_plain_loop():
    draw = np.random.default_rng(0)
    rows = np.stack([[draw.permutation(40)[:20] for _ in range(5)] for _ in range(1100)])
    similarities = -np.sort(-draw.random(rows.shape), axis=2)
    near = 0.9 + similarities / 20  # close enough for votes to matter
    found = {}
    for combine, weight in ((nearest_crop, 0.0), (majority_voting, 0.01)):
        found[weight], _, scores = combine(rows, near)
        clear = (-np.diff(scores, axis=1) > 1e-6).all(axis=1)  # all others are ties, which go by row
        assert clear.mean() > 0.9
        assert found[weight][clear].tolist() == by_loops(rows[clear], near[clear], weight)
    assert (found[0.0] != found[0.01]).any(axis=1).mean() > 0.5


def test_crops_that_agree_change_nothing_and_ties_go_by_row():
    rows = np.repeat(np.array([[[5, 3, 9, 1]]]), 5, axis=1)
    similarities = np.repeat(np.array([[[0.9, 0.8, 0.8, 0.1]]]), 5, axis=1)
    for combine in (nearest_crop, majority_voting):
        assert combine(rows, similarities)[0].tolist() == [[5, 3, 9, 1]]
    rows = np.array([[[9], [3]]])
    assert nearest_crop(rows, np.array([[[0.5], [0.5 + 1e-8]]]))[0].tolist() == [[3]]


def test_parts_with_fewer_images_repeat_the_last_one():
    """A part of two images, padded to three predictions: the copy has no vote and takes no place."""
    rows = np.array([[[2, 6, 6], [6, 2, 2]]])
    similarities = np.array([[[0.9, 0.5, 0.5], [0.7, 0.6, 0.6]]])
    assert nearest_crop(rows, similarities)[0].tolist() == [[2, 6, 6]]
    rows_, similarities_, scores = majority_voting(rows, similarities)
    assert rows_.tolist() == [[2, 6, 6]] and similarities_.tolist() == [[0.9, 0.7, 0.7]]
    votes = 0.01 * (2 / 5 + 2 / 10)
    assert (2 - 2 * scores[0]).tolist() == pytest.approx([0.2 - votes, 0.6 - votes, 0.6 - votes])
