import numpy as np
import pytest

from commons.errors import ArgumentError
from commons.sphere import from_local_km, haversine_km
from metrics import cross_view
from metrics.cross_view import (
    RECALL_AT,
    Lists,
    average_precision,
    expected_recall,
    is_below_cell,
    official_metrics,
    one_percent,
    ranks,
    recall,
    recalls_at_radii,
    recalls_of_answers,
    references_within,
    share_interval,
)


def world(queries: int = 40, side: int = 20, seed: int = 0):
    """Cells of 30 m, and queries among them whose descriptors are like that of their cell."""
    rng = np.random.default_rng(seed)
    north, east = (30e-3 * axis.ravel() for axis in np.mgrid[:side, :side])
    cells = from_local_km(east, north, 50.0, 8.0)
    own = rng.integers(0, side**2, queries)
    shift = rng.uniform(-15e-3, 15e-3, (2, queries))
    at = from_local_km(east[own] + shift[0], north[own] + shift[1], 50.0, 8.0)
    references = rng.normal(size=(side**2, 8)).astype(np.float32)
    references /= np.linalg.norm(references, axis=1, keepdims=True)
    descriptors = references[own] + 0.35 * rng.normal(size=(queries, 8)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return at, cells, own, descriptors.astype(np.float32), references


def brute_force(at, cells, own, descriptors, references, k: int, radius: float) -> float:
    """Query by query: order the cells, look at the first k."""
    hits = 0
    for query in range(len(own)):
        order = np.argsort(-(references @ descriptors[query]), kind="stable")[:k]
        metres = 1000 * haversine_km(at[0][query], at[1][query], cells[0][order], cells[1][order])
        hits += bool((order == own[query]).any()) if radius == 0 else bool((metres < radius).any())
    return hits / len(own)


@pytest.mark.parametrize("block", [2**25, 1000, 30])
def test_recall_at_radii_against_brute_force(block: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cross_view, "ENTRIES", block)
    at, cells, own, descriptors, references = data = world()
    correct = {"0m": Lists.of_cells(own)} | {f"{r}m": references_within(*at, *cells, r) for r in (25, 50, 100)}
    figures = recalls_at_radii(ranks(descriptors, references, correct))
    assert len(figures) == 20
    for radius in (0, 25, 50, 100):
        for k in RECALL_AT:
            assert figures[f"Recall@{k}<{radius}m"] == pytest.approx(brute_force(*data, k, radius))
    assert 0.1 < figures["Recall@1<25m"] < figures["Recall@1<100m"] < 1 and figures["Recall@1<0m"] > 0.1


def test_answers_of_an_index_give_the_same():
    at, cells, own, descriptors, references = data = world(seed=1)
    similar = descriptors @ references.T
    order = np.argsort(-similar, axis=1, kind="stable")[:, :100]
    metres = 1000 * haversine_km(at[0][:, None], at[1][:, None], cells[0][order], cells[1][order])
    figures = recalls_of_answers(metres, order == own[:, None], np.take_along_axis(similar, order, 1))
    assert len(figures) == 20
    for name, value in figures.items():
        k, radius = name.removeprefix("Recall@").removesuffix("m").split("<")
        assert value == pytest.approx(brute_force(*data, int(k), float(radius)))
    with pytest.raises(ArgumentError, match="recall@100 needs 100 answers per photo, not 7"):
        recalls_of_answers(metres[:, :7], order[:, :7] < 0, similar[:, :7])


def test_missing_answers_and_ties_among_answers():
    distances = np.array([[10.0, 80, np.inf], [80, 10, np.inf], [np.nan, np.nan, np.nan]])
    scores = np.array([[0.9, 0.9, -np.inf], [0.9, 0.5, -np.inf], [-np.inf] * 3])
    figures = recalls_of_answers(distances, distances < 20, scores, (0, 25), (1, 2))
    assert figures["Recall@1<25m"] == 0  # the first query's best answer is as good as a wrong one
    assert figures["Recall@2<25m"] == pytest.approx(2 / 3) == figures["Recall@2<0m"]


def test_constant_descriptors_are_no_better_than_chance():
    at, cells, own, _, references = world()
    same = np.full_like(references, 8**-0.5)
    correct = references_within(*at, *cells, 50)
    found = ranks(same[: len(own)], same, {"": correct})[""]
    count = np.diff(correct.offsets)
    assert recall(found, 1) == recall(found, 300) == 0 and recall(found, 400) == 1
    for k in (1, 10, 100):
        miss = [np.prod([(400 - c - i) / (400 - i) for i in range(k)]) for c in count]
        assert expected_recall(found, k) == pytest.approx(1 - np.mean(miss))
    assert expected_recall(found, 1) == pytest.approx(count.mean() / 400)
    figures = official_metrics(same[: len(own)], same, Lists.of_cells(own), Lists.of_cells(own))
    assert set(figures.values()) == {0.0}


def test_without_ties_the_expected_recall_is_the_recall():
    at, cells, own, descriptors, references = world(seed=2)
    found = ranks(descriptors, references, {"": Lists.of_cells(own)})[""]
    for k in (1, 5, 50):
        assert expected_recall(found, k) == pytest.approx(recall(found, k))


def test_queries_without_a_correct_reference_are_wrong():
    found = ranks(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), {"": Lists.of_cells(np.array([0, -1]))})[""]
    assert recall(found, 1) == recall(found, 2) == expected_recall(found, 2) == 0.5


def test_hit_rate_and_one_percent_by_hand():
    """Similarities .9 (semi-positive), .8 (positive), .1: R@1 misses, the hit rate does not."""
    references = np.array([[0.9, 0.1], [0.8, 0.6], [0.1, 0.9]], np.float32)
    query, one = np.array([[1.0, 0.0]], np.float32), np.array([1])
    figures = official_metrics(query, references, Lists.of_cells(one), Lists.of_cells(np.array([0])), (1, 2))
    assert figures == {"R@1": 0, "R@2": 100, "R@1%": 0, "hit rate": 100}
    assert "hit rate" not in official_metrics(query, references, Lists.of_cells(one))
    # A positive that is also listed as semi-positive stays correct.
    both = Lists(np.array([0, 2]), np.array([0, 1]))
    assert official_metrics(query, references, Lists.of_cells(one), both)["hit rate"] == 100
    assert [one_percent(n) for n in (3, 99, 199, 200, 12_345)] == [1, 1, 1, 2, 123]


def unit(cosines: list[float]) -> np.ndarray:
    """Returns references with these similarities to (1, 0)."""
    x = np.array(cosines, np.float32)
    return np.stack([x, np.sqrt(1 - x**2)], axis=1)


def lists(*rows: list[int]) -> Lists:
    return Lists(np.r_[0, np.cumsum([len(own) for own in rows])], np.array(sum(rows, []), np.int64))


def test_average_precision_by_hand():
    """Correct ones at places 1 and 3 of 4: ((1 + 1) + (1/2 + 2/3)) / 4; at 2 and 4: ((0 + 1/2) + (1/3 + 2/4)) / 4.

    University-1652 does not take the precision at a hit but the mean of it and of the precision before the hit.
    """
    query = np.array([[1.0, 0.0]], np.float32)
    references = unit([0.9, 0.8, 0.7, 0.6])
    for own, expected in (([0, 2], 19 / 24), ([1, 3], 1 / 3), ([0], 1), ([0, 1, 2, 3], 1), ([1], 1 / 4), ([], 0)):
        assert average_precision(query, references, lists(own)) == pytest.approx([expected])
    # Several queries, and references in another order.
    both = np.repeat(query, 3, axis=0)
    found = average_precision(both, references[[3, 1, 0, 2]], lists([2, 3], [], [1, 0]))
    assert found == pytest.approx([19 / 24, 0, 1 / 3])


@pytest.mark.parametrize("block", [2**25, 64])
def test_average_precision_against_one_query_after_another(block: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cross_view, "ENTRIES", block)
    rng = np.random.default_rng(3)
    labels, own = rng.integers(0, 9, 50), rng.integers(0, 9, 20)
    queries, references = (rng.normal(size=(n, 4)).astype(np.float32) for n in (20, 50))
    correct = lists(*(np.flatnonzero(labels == label).tolist() for label in own))
    expected = []
    for query, label in zip(queries, own, strict=True):
        hits = np.flatnonzero(labels[np.argsort(-(references @ query))] == label)
        area = [(i + 1) / (r + 1) + (i / r if r else 1.0) for i, r in enumerate(hits)]
        expected.append(sum(area) / 2 / len(hits))
    assert average_precision(queries, references, correct) == pytest.approx(expected)


def test_ties_count_against_the_average_precision():
    query, same = np.array([[1.0, 0.0]], np.float32), np.repeat(np.array([[1.0, 0.0]], np.float32), 4, axis=0)
    # As if the correct one came last: (0 + 1/4) / 2.
    for row in range(4):
        assert average_precision(query, same, lists([row])) == pytest.approx([1 / 8])
    figures = official_metrics(query, same, lists([0]), precision=True)
    assert figures["AP"] == pytest.approx(12.5) and figures["R@1"] == 0
    assert "AP" not in official_metrics(query, same, lists([0]))


def test_radii_below_half_a_diagonal_are_known():
    assert [is_below_cell(r, 30) for r in (0, 21, 21.3, 25)] == [False, True, False, False]


def test_no_queries():
    none, references = np.zeros((0, 2), np.float32), np.eye(2, dtype=np.float32)
    found = ranks(none, references, {"": Lists.of_cells(np.zeros(0, int))})[""]
    assert recall(found, 1) == expected_recall(found, 1) == 0


def test_interval_equals_drawing_photo_by_photo():
    draw = np.random.default_rng(0)
    right = draw.random(200) < 0.3
    shares = right[draw.integers(0, 200, (20_000, 200))].mean(axis=1)
    assert share_interval(right.mean(), 200) == pytest.approx(np.percentile(shares, [2.5, 97.5]), abs=0.006)
    assert share_interval(0.0, 10) == (0, 0) and share_interval(1.0, 10) == (1, 1)
