import numpy as np

from tasks.gate import best_threshold


def test_threshold_by_hand():
    scores = np.array([0.1, 0.2, 0.2, 0.8, 0.9])
    before, after = np.array([0, 1, 0, 1, 1], bool), np.array([1, 1, 1, 0, 1], bool)
    # H and L are 0 and 0 from 0.9 on, 1 and 0 from 0.8 on, 1 and 1 from 0.2 on: 0, 0 and -1.4 are certain.
    assert best_threshold(scores, before, after) == 0.8
    assert best_threshold(scores, before, before) == 0.1  # nothing to gain: skip all
    assert best_threshold(scores, np.zeros(5, bool), np.ones(5, bool)) == np.inf
    harmed = np.arange(6) < 5  # 5 of the 6 most confident queries are put wrong, and one is put right
    assert best_threshold(np.append(0.1, np.full(6, 0.9)), np.append(False, harmed), np.append(True, ~harmed)) == 0.9
    assert best_threshold(np.zeros(0), np.zeros(0, bool), np.zeros(0, bool)) == np.inf


def test_threshold_against_trying_all():
    draw = np.random.default_rng(0)
    for _ in range(50):
        scores, before, after = draw.integers(0, 6, 20) / 5, draw.random(20) < 0.5, draw.random(20) < 0.6
        tried = [*np.unique(scores), np.inf]
        certain = []
        for level in tried:
            changes = [int(a) - int(b) for s, a, b in zip(scores, before, after, strict=True) if s >= level]
            certain.append(sum(changes) - sum(map(abs, changes)) ** 0.5)
        assert best_threshold(scores, before, after) == tried[int(np.argmax(certain))]
