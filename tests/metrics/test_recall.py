import numpy as np
import pytest

from metrics.recall import decided_by_ties, recalls, recalls_of


def plain_recall(correct: np.ndarray, n: int) -> float:
    return 100 * sum(any(row[:n]) for row in correct) / len(correct)


def test_by_hand():
    """Right at rank 1, at rank 3, never though it could be, and never because there is nothing to find."""
    correct = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]], dtype=bool)
    answerable = np.array([True, True, True, False])
    assert recalls(correct, answerable, (1, 2, 3, 20)) == {
        "R@1": 25, "R@2": 25, "R@3": 50, "R@20": 50,
        "answerable R@1": pytest.approx(100 / 3), "answerable R@2": pytest.approx(100 / 3),
        "answerable R@3": pytest.approx(200 / 3), "answerable R@20": pytest.approx(200 / 3),
    }  # fmt: skip


def test_equals_a_plain_loop():
    correct = np.random.default_rng(0).random((200, 20)) < 0.1
    found = recalls(correct, np.ones(200, bool), (1, 5, 10, 20))
    for n in (1, 5, 10, 20):
        assert found[f"R@{n}"] == pytest.approx(plain_recall(correct, n))
        assert type(found[f"R@{n}"]) is float


def test_nothing_answerable():
    """A share of nothing is left out instead of being 0."""
    assert recalls(np.zeros((2, 3), bool), np.zeros(2, bool), (1,)) == {"R@1": 0}


def test_queries_that_ties_decide():
    """Twins right and wrong, all right, all wrong; a single first one, followed by nothing equal or by twins."""
    groups = np.array([[0, 0, 1]] * 3 + [[0, 1, 2], [0, 1, 1]])
    correct = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]], dtype=bool)
    assert decided_by_ties(correct, groups) == 1


def test_recalls_are_told_from_other_results():
    assert recalls_of({"R@1": 50.0, "answerable R@1": 60.0, "queries": 4, "R@5": 75.0}) == {"R@1": 50.0, "R@5": 75.0}
