"""Re-ranking against a plain version, pair by pair."""

import json
import threading
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from commons.errors import ArgumentError
from datasets.places import Places, make_places
from matchers.features import KeypointCache
from matchers.matcher import Keypoints, Matcher
from matchers.sift import Sift
from metrics.calibration import Calibration
from tasks.gate import FEATURES, Gate, fit_gate, gate_features, read_gate
from tasks.measuring import Evaluation
from tasks.reranking import Reranker, make_reranker, one_core_each, read_pixels, reordered, skipping_curve
from tasks.truth import Truth
from tests.matchers.pictures import scene, view


def places(folder: Path, metres: list[float]) -> Places:
    names = pa.array([f"{number}.png" for number in range(len(metres))])
    return make_places(folder, names, np.array(metres, float), np.zeros(len(metres)), np.full(len(metres), 31))


def evaluation(
    predictions: list[list[int]], similarities: list[list[float]], right: list[list[int]], folder: Path = Path("x")
) -> Evaluation:
    """Returns an evaluation of which the predictions that are right are given as 0 and 1."""
    predictions, similarities = np.array(predictions), np.array(similarities, np.float32)
    count = predictions.max() + 1
    database = places(folder / "database", [100.0 * number for number in range(count)])
    queries = places(folder / "queries", [0.0] * len(predictions))
    return Evaluation(
        results={"R@1": 0.0, "answerable R@1": 0.0, "database": int(count), "queries": len(predictions)},
        database=database,
        queries=queries,
        predictions=predictions,
        similarities=similarities,
        distances=np.where(np.array(right), 5.0, 900.0),
        threshold=25.0,
        seconds=0.0,
        truth=Truth(np.arange(count), database, queries, np.array(right).any(axis=1), 25.0),
    )


def test_order_by_hand():
    before = evaluation(
        [[3, 1, 2, 0], [0, 1, 2, 3], [2, 3, 0, 1]],
        [[0.9, 0.8, 0.7, 0.6]] * 3,
        [[0, 1, 0, 1], [0, 0, 0, 1], [1, 0, 0, 0]],
    )
    after = reordered(before, np.array([[5, 20, 20], [0, 0, 7], [30, -1, -1]], np.int32))
    assert after.predictions.tolist() == [[1, 2, 3, 0], [2, 0, 1, 3], [2, 3, 0, 1]]
    assert after.inliers.tolist() == [[20, 20, 5], [7, 0, 0], [30, -1, -1]]
    assert after.similarities[0] == pytest.approx([0.8, 0.7, 0.9, 0.6])
    assert after.distances[0].tolist() == [5, 900, 900, 5]
    assert after.results["R@1"] == pytest.approx(200 / 3) and after.results["R@5"] == 100
    assert after.results["queries_decided_by_ties"] == 0
    assert before.results["R@1"] == 0 and before.predictions[0, 0] == 3  # unchanged


def test_predictions_after_the_first_k_stay_so_recall_at_k_does_not_change():
    draw = np.random.default_rng(0)
    predictions = np.stack([draw.permutation(30) for _ in range(50)])
    before = evaluation(predictions, -np.sort(-draw.random((50, 30))), draw.random((50, 30)) < 0.1)
    after = reordered(before, draw.integers(0, 9, (50, 10)).astype(np.int32))
    for k in range(10, 31):
        hits = [(own.distances[:, :k] <= 25).any(axis=1) for own in (before, after)]
        assert np.array_equal(*hits)
    assert np.array_equal(np.sort(after.predictions[:, :10]), np.sort(before.predictions[:, :10]))
    assert np.array_equal(after.predictions[:, 10:], before.predictions[:, 10:])


@pytest.mark.parametrize(("inliers", "ties"), [([4, 4, 0], 1), ([4, 5, 0], 0), ([4, 4, 4], 1), ([0, 0, 9], 0)])
def test_ties_are_equal_inliers_of_equal_descriptors(inliers: list[int], ties: int):
    """The first two images have one descriptor, and the second is right."""
    before = evaluation([[0, 1, 2]], [[0.9, 0.9, 0.5]], [[0, 1, 0]])
    after = reordered(before, np.array([inliers], np.int32))
    assert after.results["queries_decided_by_ties"] == ties


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four places; each query shows one; one database image is damaged, one tiny and one without texture."""
    folder = tmp_path_factory.mktemp("city")
    for part in ("database", "queries"):
        (folder / part).mkdir()
    for place in range(4):
        Image.fromarray(scene(place, 160)).save(folder / "database" / f"{place}.png")
        Image.fromarray(view(scene(place, 160))).save(folder / "queries" / f"{place}.png")
    (folder / "database" / "4.png").write_bytes(b"torn")
    Image.new("RGB", (10, 90)).save(folder / "database" / "5.png")
    Image.new("RGB", (90, 90)).save(folder / "database" / "6.png")
    return folder


def searched(folder: Path) -> Evaluation:
    """Predictions in an order that has the right one first for one query only."""
    predictions = [[4, 5, 0, 1, 2], [6, 2, 3, 1, 0], [2, 1, 0, 3, 6], [0, 5, 6, 4, 3]]
    right = [[own == query for own in row] for query, row in enumerate(predictions)]
    return evaluation(predictions, [[0.9, 0.8, 0.7, 0.6, 0.5]] * 4, right, folder)


def reranker(folder: Path, keypoints: Path, top: int = 4, **options: object) -> Reranker:
    cache = KeypointCache(Sift(), keypoints, lambda path: read_pixels(path, 640))
    return Reranker("sift", top, cache, **options)


def plain_inliers(query: Path, image: Path) -> int:
    """Extracts, matches and verifies one pair as a script would, without numbers of ours."""
    try:
        pixels = [
            cv2.cvtColor(np.asarray(Image.open(path).convert("RGB")), cv2.COLOR_RGB2GRAY) for path in (query, image)
        ]
    except OSError:
        return 0
    if min(map(min, (own.shape for own in pixels))) < 16:
        return 0
    (points, first), (others, second) = (cv2.SIFT_create(1024).detectAndCompute(own, None) for own in pixels)
    if first is None or second is None:
        return 0
    first, second = (np.sqrt(own / own.sum(axis=1, keepdims=True)) for own in (first, second))
    there, back = (cv2.BFMatcher().knnMatch(*pair, k=2) for pair in ((first, second), (second, first)))
    kept = {(a.queryIdx, a.trainIdx) for a, b in back if a.distance < 0.8 * b.distance}
    pairs = [(a.queryIdx, a.trainIdx) for a, b in there if a.distance < 0.8 * b.distance]
    pairs = [pair for pair in pairs if pair[::-1] in kept]
    if len(pairs) < 8:
        return 0
    ends = [
        np.float32([own[row].pt for row in rows])
        for own, rows in zip((points, others), np.transpose(pairs), strict=True)
    ]
    _, mask = cv2.findFundamentalMat(*ends, cv2.USAC_MAGSAC, 1.5, 0.999, 2000)
    count = 0 if mask is None else int(mask.sum())
    return count if count >= 8 else 0


def test_equals_the_same_job_done_pair_by_pair(city: Path, tmp_path: Path):
    before = searched(city)
    (step,) = reranker(city, tmp_path).take(before)
    expected = [
        [plain_inliers(before.queries.path(query), before.database.path(row)) for row in rows[:4]]
        for query, rows in enumerate(before.predictions)
    ]
    order = [sorted(range(4), key=lambda rank, own=own: (-own[rank], rank)) for own in expected]
    assert step.evaluation.inliers.tolist() == [
        [own[rank] for rank in by] for own, by in zip(expected, order, strict=True)
    ]
    assert step.evaluation.predictions[:, 0].tolist() == [0, 1, 2, 0]  # the right one of the last is the fifth
    assert step.evaluation.results["R@1"] == 75 and step.ceiling == 75
    assert (step.name, step.record) == ("+ re-ranking of the first 4 by sift", {"matcher": "sift", "top": 4})
    assert step.extracting > 0 and step.matching > 0
    points = step.evaluation.verify(before.queries.path(0), before.database.path(0))
    assert len(points[0]) == len(points[1]) == step.evaluation.inliers[0, 0]
    assert all((own >= 0).all() and (own <= 1).all() for own in points)


def test_a_later_run_uses_the_keypoints_again(city: Path, tmp_path: Path):
    first, second = reranker(city, tmp_path), reranker(city, tmp_path)
    before = first.take(searched(city))[0].evaluation
    again = second.take(searched(city))[0].evaluation
    assert first.cache.extracted == 10 and second.cache.extracted == 0  # four queries, six readable images
    assert np.array_equal(before.inliers, again.inliers)


def test_fewer_predictions_than_k(city: Path, tmp_path: Path):
    (step,) = reranker(city, tmp_path, top=50).take(searched(city))
    assert step.record["top"] == 5 and step.evaluation.results["R@1"] == 100


def test_without_labels(city: Path, tmp_path: Path):
    before = searched(city)
    results = {"database": 7, "queries": 4}
    unlabelled = Evaluation(
        results, before.database, before.queries, before.predictions, before.similarities, None, 25.0, 0.0
    )
    (step,) = reranker(city, tmp_path).take(unlabelled)
    assert step.ceiling is None and step.evaluation.results == results
    assert step.evaluation.predictions[:, 0].tolist() == [0, 1, 2, 0]


def gate(threshold: float) -> Gate:
    """Looks at the inliers only: the score is 1 / (1 + 1 / (1 + n))."""
    return Gate(Calibration(FEATURES, (0.0,) * 3, (1.0,) * 3, (1.0, 0.0, 0.0), 0.0), threshold, "sift")


def test_queries_that_the_gate_skips_keep_their_order_and_cost_one_pair(city: Path, tmp_path: Path):
    asked = []

    class Noting(Sift):
        def match(self, first: Keypoints, second: Keypoints) -> np.ndarray:
            asked.append(1)
            return super().match(first, second)

    own = reranker(city, tmp_path, gate=gate(0.9), when="x")
    own.cache.matcher = Noting()
    (step,) = own.take(searched(city))
    # Only the third query's first prediction has inliers.
    assert step.evaluation.predictions[:, 0].tolist() == [0, 1, 2, 0]
    assert step.evaluation.inliers[2, 1:].tolist() == [-1, -1, -1] and step.evaluation.inliers[2, 0] > 8
    assert step.record["skipped_queries"] == 1 and step.record["skipped_share"] == 25
    assert step.name == "+ re-ranking of the first 4 by sift, 25 % skipped"
    everything, readable = [], {0, 1, 2, 3}
    for query, rows in enumerate(searched(city).predictions):
        everything += [row for row in rows[: 1 if query == 2 else 4] if row in readable]
    assert len(asked) == len(everything)
    assert step.record["curve"] == [(100, 25), (75, 50), (50, 75), (25, 75)]


def test_the_first_set_fits_the_gate_and_the_next_ones_follow(city: Path, tmp_path: Path):
    own = reranker(city, tmp_path, when="auto")
    always, adaptive = own.take(searched(city))
    assert always.evaluation.results["R@1"] == adaptive.evaluation.results["R@1"] == 75
    assert own.gate is not None and adaptive.matching is None
    share = f"{adaptive.record['skipped_share']:.0f}"
    assert always.name == "+ re-ranking of the first 4 by sift, all queries"
    assert adaptive.name == f"or re-ranking of the first 4 by sift, {share} % skipped"
    fitted = own.gate
    (step,) = own.take(searched(city))
    assert own.gate is fitted
    assert np.array_equal(step.evaluation.predictions, adaptive.evaluation.predictions)
    assert step.record["curve"] == adaptive.record["curve"][: len(step.record["curve"])]
    own.gate.save(tmp_path / "reranking.json")
    assert read_gate(tmp_path / "reranking.json", "sift") == own.gate


def test_gate_separates_right_from_wrong_first_predictions():
    draw = np.random.default_rng(0)
    right = draw.random(200) < 0.6
    before = evaluation(
        [[0, 1]] * 200, np.stack([np.full(200, 0.9), np.where(right, 0.5, 0.85)], axis=1), np.stack([right, ~right], 1)
    )
    inliers = np.stack([np.where(right, 60, 5), np.where(right, 6, 50)], axis=1).astype(np.int32)
    after = reordered(before, inliers)
    assert after.results["R@1"] == 100
    fitted = fit_gate(before, inliers, after, "sift")
    skipped = fitted.skips(fitted.model.probability(gate_features(before, inliers[:, 0])))
    assert np.array_equal(skipped, right)
    curve = dict(skipping_curve(before, inliers, fitted))
    assert curve[100.0] == pytest.approx(100 * right.mean()) and curve[0.0] == 100
    assert len(curve) == 101


def test_a_validation_set_in_which_all_is_right_skips_all():
    before = evaluation([[0, 1]] * 5, [[0.9, 0.1]] * 5, [[1, 0]] * 5)
    inliers = np.tile(np.array([[0, 9]], np.int32), (5, 1))
    fitted = fit_gate(before, inliers, reordered(before, inliers), "orb")
    assert fitted.skips(fitted.model.probability(gate_features(before, inliers[:, 0]))).all()


def settings(**changes: object) -> SimpleNamespace:
    own = dict(rerank="orb", rerank_options={"keypoints": 50}, rerank_top=3, rerank_when="always", rerank_image_size=64)
    return SimpleNamespace(**own | {"keypoints_folder": None} | changes)


def test_built_from_settings(tmp_path: Path):
    own = make_reranker(settings(keypoints_folder=str(tmp_path)), torch.device("cpu"))
    assert (own.name, own.top, own.cache.matcher.keypoints, own.cache.folder) == ("orb", 3, 50, tmp_path)
    Image.new("RGB", (300, 100)).save(tmp_path / "large.png")
    Image.new("RGB", (70, 60)).save(tmp_path / "small.png")
    assert own.cache.read(tmp_path / "large.png").shape == (64, 192, 3)
    assert own.cache.read(tmp_path / "small.png").shape == (60, 70, 3)


def test_gates_that_cannot_be_used(tmp_path: Path):
    gate(0.5).save(tmp_path / "gate.json")
    with pytest.raises(ArgumentError, match="was fitted to `rerank` sift, not orb"):
        make_reranker(settings(rerank_when=str(tmp_path / "gate.json")), torch.device("cpu"))
    for text in ("{", "{}", "[]", json.dumps(gate(0.5).record() | {"model": {"names": ["x"]}})):
        (tmp_path / "gate.json").write_text(text)
        with pytest.raises(ArgumentError, match="is not the reranking.json of a run with `rerank_when` auto"):
            read_gate(tmp_path / "gate.json", "sift")


@pytest.mark.parametrize("both", [True, False])
def test_a_network_is_asked_by_one_thread(city: Path, tmp_path: Path, both: bool):
    extracting, matching = set(), set()

    class Network(Matcher):
        features, extracts_in_threads, matches_in_threads = "network", False, not both

        def extract(self, image: np.ndarray) -> Keypoints:
            extracting.add(threading.current_thread())
            return Sift().extract(image)

        def match(self, first: Keypoints, second: Keypoints) -> np.ndarray:
            matching.add(threading.current_thread())
            return Sift().match(first, second)

    own = Reranker("network", 4, KeypointCache(Network(), tmp_path, lambda path: read_pixels(path, 640)))
    assert own.take(searched(city))[0].evaluation.predictions[:, 0].tolist() == [0, 1, 2, 0]
    assert extracting == {threading.main_thread()}
    assert (matching == {threading.main_thread()}) == both


def test_threads_of_other_work_come_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError), one_core_each(True):
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
        with one_core_each(False):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
