"""The search of sequences in an evaluation, with given descriptors instead of images."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from commons.errors import ArgumentError
from datasets.places import Frames, Places, make_places
from datasets.positives import from_matrix
from datasets.test_dataset import Groups, Middles, TestSet
from retrieval.table import DescriptorTable
from tasks.exports import save_predictions
from tasks.measuring import Evaluation, measure
from tasks.predictions import keep_predictions, query_results
from tasks.sequences import SequenceSearch, check_sequences, find_sequence_truth, sequence_tables
from tasks.truth import find_truth
from tests.retrieval.test_index import unit

DATABASE, QUERIES, DIM = 40, 24, 16


def drive(count: int, spacing: float, start: float, sequences: int = 2) -> Places:
    """A drive to the north whose images are cut into sequences of equal length."""
    each = count // sequences
    frames = Frames(np.repeat(np.arange(sequences), each), np.tile(np.arange(each), sequences))
    names = pa.array([f"{number:03d}.jpg" for number in range(count)])
    metres = start + spacing * np.arange(count)
    return make_places(Path("x"), names, np.full(count, 5e5), 5e6 + metres, np.full(count, 32), frames=frames)


@pytest.fixture
def test_set() -> TestSet:
    return TestSet("set", drive(DATABASE, 10.0, 0.0), drive(QUERIES, 17.0, 3.0))


def tables(test_set: TestSet) -> tuple[DescriptorTable, DescriptorTable]:
    """Unit descriptors; those of the queries are noisy ones of the nearest database image."""
    draw = np.random.default_rng(0)
    database = unit(draw, DATABASE, DIM)
    spacing = np.diff(test_set.queries.utm_north[:2])
    near = np.minimum((3 + spacing * np.arange(QUERIES) + 5) // 10, DATABASE - 1).astype(int)
    queries = database[near] + draw.normal(0, 0.4, (QUERIES, DIM))
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    made = []
    for vectors in (database, queries):
        table = DescriptorTable(len(vectors), DIM)
        order = draw.permutation(len(vectors))
        table.add([(order, vectors[order])])
        made.append(table)
    return tuple(made)


def found(chosen: SequenceSearch, test_set: TestSet, thresholds: tuple[float, ...] = (25.0,), k: int = 5) -> Evaluation:
    both = tables(test_set)
    truth = find_sequence_truth(chosen, test_set, *both, list(thresholds))
    *searched, find = sequence_tables(chosen, truth.sequences, *both, k)
    return measure(truth, *searched, k, find=find)


@pytest.mark.parametrize("mode", ["seq2seq", "im2seq", "seq2im"])
@pytest.mark.parametrize("method", ["mean", "seqmatch"])
@pytest.mark.parametrize("ground", ["metres", "lists", "parts"])
def test_length_1_equals_single_images_bit_for_bit(test_set: TestSet, mode: str, method: str, ground: str):
    if ground == "lists":
        correct = np.random.default_rng(1).random((QUERIES, DATABASE)) < 0.1
        test_set = TestSet("set", test_set.database, test_set.queries, positives=from_matrix(correct))
    elif ground == "parts":
        groups = Groups(np.arange(DATABASE) % 2, np.arange(QUERIES) % 2, ("a", "b"))
        test_set = TestSet("set", test_set.database, test_set.queries, groups=groups)
    both = tables(test_set)
    plain = measure(find_truth(test_set, *both, [25.0, 10.0]), *both, 5)
    own = found(SequenceSearch(1, mode, method), test_set, (25.0, 10.0))
    for name in ("predictions", "similarities", "distances", "correct"):
        one, other = getattr(plain, name), getattr(own, name)
        assert (one is None and other is None) or np.array_equal(one, other), name
    rules = {plain.results.pop("rule"), own.results.pop("rule")}
    assert own.results == plain.results and len(rules) == 2
    assert [values | {"rule": ""} for values in own.further.values()] == [
        values | {"rule": ""} for values in plain.further.values()
    ]


@pytest.mark.parametrize("method", ["mean", "seqmatch"])
def test_sequences_find_more(test_set: TestSet, method: str):
    if method == "mean":  # it looks at as many frames of both
        test_set = TestSet("set", test_set.database, drive(QUERIES, 10.0, 3.0))
    both = tables(test_set)
    plain = measure(find_truth(test_set, *both, 25.0), *both, 5)
    own = found(SequenceSearch(5, "seq2seq", method, (1.5, 2.0)), test_set)
    assert (own.results["queries"], own.results["database"]) == (2 * (12 - 4), 2 * (20 - 4))
    assert own.results["R@1"] > plain.results["R@1"] + 10
    record = SequenceSearch(5, "seq2seq", method, (1.5, 2.0)).record(own)
    assert record["middle_frames"]["R@1"] > plain.results["R@1"]
    assert record["gaps"] == record["left_out"] == {"database": 0, "queries": 0}


def test_what_is_correct(test_set: TestSet):
    """Query windows of 3 frames at 17 m, images every 10 m: the distance is the smallest one of all frames."""
    own = found(SequenceSearch(3, "seq2im"), test_set, (8.0, 25.0))
    frames = 3 + 17.0 * np.arange(QUERIES)
    windows = own.sequences.query_windows.rows
    assert windows[:2].tolist() == [[0, 1, 2], [1, 2, 3]] and len(windows) == 20
    expected = np.abs(frames[windows][:, None, :] - 10.0 * own.predictions[:, :, None]).min(axis=2)
    assert np.allclose(own.distances, expected)
    assert own.results["R@1"] == pytest.approx(100 * (expected[:, 0] <= 8).mean())
    assert own.further[25.0]["R@1"] == pytest.approx(100 * (expected[:, 0] <= 25).mean())
    assert (
        own.truth.answerable.sum() == (np.abs(frames[windows][..., None] - 10.0 * np.arange(40)).min((1, 2)) <= 8).sum()
    )
    assert own.results["rule"].startswith(
        "R@N: percentage of all queries, each one sequence of 3 frames, with a frame within 8 m of a frame of one of "
        "their first N predictions, each one image, distances in metres: UTM"
    )


def test_queries_stay_in_their_part(test_set: TestSet):
    """Sequences of different cities are never mixed."""
    groups = Groups(np.arange(DATABASE) // 20, np.arange(QUERIES) // 12, ("a", "b"))
    parts = TestSet("set", test_set.database, test_set.queries, groups=groups)
    for method in ("mean", "seqmatch"):
        own = found(SequenceSearch(3, "seq2seq", method), parts)
        middle = own.sequences.database_windows.middle[own.predictions]
        assert np.array_equal(middle // 20, np.repeat(own.sequences.query_windows.middle[:, None] // 12, 5, axis=1))
    lonely = Groups(np.zeros(DATABASE, int), groups.queries, groups.names)
    with pytest.raises(ArgumentError, match="3: the database of b has no such sequence"):
        found(SequenceSearch(3), TestSet("set", test_set.database, test_set.queries, groups=lonely))


def test_a_protocol_chooses_by_middle_frames(test_set: TestSet):
    chosen = np.zeros(QUERIES, bool)
    chosen[[0, 4, 20]] = True  # the first frame of a sequence is in the middle of none
    middles = Middles(np.ones(DATABASE, bool), chosen, 5.0)
    own = found(SequenceSearch(3), TestSet("set", test_set.database, test_set.queries, middles=middles))
    metres = [
        abs(3 + 17 * (row + shift) - 10 * image) for row in (4, 20) for shift in (-1, 0, 1) for image in range(40)
    ]
    kept = [row for row, near in zip((4, 20), np.reshape(metres, (2, -1)).min(axis=1), strict=True) if near <= 5]
    assert own.sequences.query_windows.middle.tolist() == kept


def test_an_image_that_was_not_described_cuts_its_sequence(test_set: TestSet):
    database, queries = tables(test_set)
    truth = find_sequence_truth(
        SequenceSearch(5), test_set, database, queries.among(np.delete(np.arange(QUERIES), 5)), [25.0]
    )
    assert len(truth.sequences.query_windows) == 1 + 2 + 8
    assert truth.sequences.query_windows.gaps == 1


def test_predictions_and_exports_are_sequences(test_set: TestSet, tmp_path: Path):
    own = found(SequenceSearch(3), test_set, (12.0,))
    keep_predictions(own, "set", tmp_path / "predictions.parquet")
    table = pa.parquet.read_table(tmp_path / "predictions.parquet").to_pylist()
    assert [row["query"] for row in table] == [f"{row:03d}.jpg" for row in own.sequences.query_windows.middle]
    for row, results in zip(table, query_results(own, 3), strict=True):
        assert [Path(match.path).name for match in results.matches] == row["predictions"][:3]
        assert row["first_right"] != 1 or results.matches[0].correct
        assert row["nearest_distance"] == pytest.approx(own.sequences.nearest(12.0)[0][table.index(row)])
        if row["first_right"] is None or row["first_right"] > 1:
            assert (results.nearest_positive is None) == (row["nearest_distance"] > 12)
    save_predictions(own, ["msls", "hloc"], tmp_path, 2)
    first = (tmp_path / "msls_predictions.csv").read_text().splitlines()[0].split()
    rows = own.sequences.database_windows.rows[own.predictions[0, :2]]
    assert first == ["000,001,002", *(",".join(f"{row:03d}" for row in one) for one in rows)]
    assert (tmp_path / "pairs.txt").read_text().splitlines()[0] == f"001.jpg {rows[0][1]:03d}.jpg"


def test_sets_without_sequences_are_refused(test_set: TestSet):
    plain = TestSet("set", test_set.database, make_places(Path("x"), test_set.queries.names))
    check_sequences(SequenceSearch(3, "im2seq"), plain)  # single queries need none
    with pytest.raises(ArgumentError, match="set: queries have no sequence and frame"):
        check_sequences(SequenceSearch(3), plain)
    with pytest.raises(ArgumentError, match="13: set: queries have at most 12 consecutive"):
        check_sequences(SequenceSearch(13), test_set)
