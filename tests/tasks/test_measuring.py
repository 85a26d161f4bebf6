from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from commons.errors import PlacewiseError
from datasets.places import Places, make_places
from datasets.positives import from_lists
from datasets.test_dataset import Groups, TestSet
from retrieval.table import DescriptorTable
from tasks.measuring import measure
from tasks.truth import find_truth


def along_a_street(metres: list[float]) -> Places:
    names = pa.array([f"{number}.jpg" for number in range(len(metres))])
    return make_places(Path("x"), names, np.array(metres), np.zeros(len(metres)), np.full(len(metres), 10))


def table(rows: list[int], angles: list[float]) -> DescriptorTable:
    made = DescriptorTable(len(rows), 2)
    radians = np.radians(angles)
    made.add([(np.array(rows), np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32))])
    return made


def test_by_hand():
    """Database images at 0, 100, 200 and 300 m; the second cannot be decoded. Queries at 5, 195 and 100 m."""
    test_set = TestSet("street", along_a_street([0, 100, 200, 300]), along_a_street([5, 195, 100]))
    database = table([3, 0, 2], [80, 0, 40])
    queries = table([1, 0, 2], [70, 10, 45])
    truth = find_truth(test_set, database, queries, 25.0)
    assert truth.database_rows.tolist() == [0, 2, 3]
    assert truth.answerable.tolist() == [True, True, False]
    found = measure(truth, database, queries, 2)
    assert found.predictions.tolist() == [[0, 1], [2, 1], [1, 2]]  # of the images that could be decoded
    assert np.allclose(found.distances, [[5, 195], [105, 5], [100, 200]])
    assert np.allclose(found.similarities[0], np.cos(np.radians([10, 30])), atol=1e-6)
    assert found.results["R@1"] == pytest.approx(100 / 3) and found.results["R@5"] == pytest.approx(200 / 3)
    assert found.results["answerable R@1"] == 50
    assert found.results["queries_without_positives"] == 1
    assert (found.results["database"], found.results["queries"]) == (3, 3)
    assert found.seconds > 0


def test_without_labels_there_are_predictions_only():
    test_set = TestSet("mine", along_a_street([0, 100]), along_a_street([5]), labelled=False)
    database, queries = table([0, 1], [0, 90]), table([0], [10])
    found = measure(find_truth(test_set, database, queries, 25.0), database, queries, 2)
    assert found.results == {"database": 2, "queries": 1}
    assert found.distances is None
    assert found.predictions.tolist() == [[0, 1]]


@pytest.mark.parametrize(("metres", "warned"), [([0, 10, 24], True), ([0, 10, 31], False), ([0], False)])
def test_a_set_in_which_nothing_can_be_wrong_is_named(
    metres: list[float], warned: bool, caplog: pytest.LogCaptureFixture
):
    """Queries at 5 and 6 m and a threshold of 25 m, as of degrees that are taken for metres."""
    test_set = TestSet("street", along_a_street(metres), along_a_street([5, 6]))
    database, queries = table([*range(len(metres))], [0] * len(metres)), table([0, 1], [0, 90])
    find_truth(test_set, database, queries, 25.0)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warned
    if warned:
        assert "street: every database image is within 25 m of every query" in caplog.text


@pytest.mark.parametrize(("metres", "warned"), [([5000, 6000], True), ([31, 6000], True), ([30, 6000], False)])
def test_a_set_in_which_nothing_can_be_right_is_named(
    metres: list[float], warned: bool, caplog: pytest.LogCaptureFixture
):
    """Queries at 0 and 5 m."""
    test_set = TestSet("street", along_a_street(metres), along_a_street([0, 5]))
    find_truth(test_set, table([0, 1], [0, 0]), table([0, 1], [0, 90]), 25.0)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warned
    if warned:
        assert f"no database image is within 25 m of any query (the nearest is {metres[0] - 5:,} m" in caplog.text


def test_further_thresholds_and_recall_values():
    test_set = TestSet("street", along_a_street([0, 100, 200]), along_a_street([5, 195, 100]))
    database, queries = table([0, 1, 2], [0, 40, 80]), table([0, 1, 2], [10, 50, 45])
    truth = find_truth(test_set, database, queries, [25.0, 4, 100.0], (2,))
    found = measure(truth, database, queries, 3)
    assert truth.recall_values == (1, 2)
    assert [name for name in found.results if "R@" in name] == ["R@1", "R@2", "answerable R@1", "answerable R@2"]
    assert found.results["R@1"] == pytest.approx(200 / 3) and found.results["positive_dist_threshold"] == 25
    assert [*found.further] == [4, 100]
    nearer, farther = found.further[4], found.further[100]
    assert (nearer["R@1"], nearer["queries_without_positives"]) == (pytest.approx(100 / 3), 2)
    assert (nearer["answerable R@1"], nearer["positive_dist_threshold"]) == (100, 4)
    assert (farther["R@1"], farther["database"], farther["queries"]) == (100, 3, 3)
    assert "within 100 m" in farther["rule"] and "within 25 m" in found.results["rule"]


def test_lists_of_correct_images_decide_without_metres():
    """The second database image cannot be decoded, and it was the only correct one of the first query."""
    names = [make_places(Path("x"), pa.array([f"{number}.jpg" for number in range(4)])) for _ in range(2)]
    positives = from_lists([[1], [3, 2], [0], []], 4, "gt.npy")
    test_set = TestSet("lists", *names, positives=positives, protocol="as listed in gt.npy")
    database, queries = table([3, 0, 2], [80, 0, 40]), table([1, 0, 2, 3], [70, 10, 45, 90])
    truth = find_truth(test_set, database, queries, [25.0, 10.0])
    assert truth.answerable.tolist() == [False, True, True, False]
    found = measure(truth, database, queries, 2)
    assert found.predictions.tolist() == [[0, 1], [2, 1], [1, 2], [2, 1]]
    assert found.correct.tolist() == [[False, False], [True, True], [False, False], [False, False]]
    assert (found.results["R@1"], found.results["answerable R@5"]) == (25, 50)
    assert found.distances is None and found.further == {} and "positive_dist_threshold" not in found.results
    assert found.results["rule"].endswith("correct database image among their first N predictions, as listed in gt.npy")


def test_lists_without_any_correct_image_are_announced(caplog: pytest.LogCaptureFixture):
    names = [make_places(Path("x"), pa.array([f"{number}.jpg" for number in range(2)])) for _ in range(2)]
    both = table([0, 1], [0, 40]), table([0, 1], [0, 40])
    for lists in ([[], [1]], [[], []]):
        find_truth(TestSet("lists", *names, positives=from_lists(lists, 2, "gt.npy")), *both, 25.0)
    assert caplog.messages == ["lists: the lists contain no correct image for any query, so all recalls are 0"]


def test_parts_are_searched_each_on_its_own():
    """Two parts at one place with the same descriptors; the nearest of the second one's queries lies in the first."""
    groups = Groups(np.array([0, 0, 1, 1]), np.array([1, 0]), ("a", "b"))
    test_set = TestSet("parts", along_a_street([0, 100, 0, 400]), along_a_street([100, 100]), groups=groups)
    database, queries = table([3, 2, 1, 0], [90, 0, 40, 0]), table([1, 0], [38, 38])
    truth = find_truth(test_set, database, queries, 25.0)
    assert truth.answerable.tolist() == [False, True]
    found = measure(truth, database, queries, 3)
    assert found.predictions.tolist() == [[2, 3], [1, 0]]
    assert found.results["R@1"] == 50
    assert np.allclose(found.similarities[0], np.cos(np.radians([38, 52])), atol=1e-6)
    with pytest.raises(PlacewiseError, match="b: none of its database images can be decoded"):
        measure(find_truth(test_set, table([0, 1], [0, 40]), queries, 25.0), table([0, 1], [0, 40]), queries, 1)
