"""Distances between windows, against loops over all pairs of frames."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from datasets import sequence_distances
from datasets.places import Places, make_places
from datasets.positives import from_matrix
from datasets.sequence_distances import SequencePair
from datasets.sequences import cut_windows, single_images
from tests.retrieval.test_sequences import drives


def random_places(seed: int, count: int) -> Places:
    draw = np.random.default_rng(seed)
    names = pa.array([f"{number:03d}.jpg" for number in range(count)])
    east, north = 500_000 + draw.uniform(0, 90, count), 5_000_000 + draw.uniform(0, 90, count)
    return make_places(Path("x"), names, east, north, np.full(count, 32), heading=draw.uniform(0, 360, count))


def apart(pair: SequencePair) -> np.ndarray:
    """Returns the distances of all pairs of windows, by two loops."""
    points = [np.stack([own.utm_east, own.utm_north], 1) for own in (pair.queries, pair.database)]
    rows = pair.query_windows.rows, pair.database_windows.rows
    found = np.full([len(own) for own in rows], np.inf)
    for query, own in enumerate(rows[0]):
        for image, other in enumerate(rows[1]):
            for one in own:
                for two in other:
                    metres = np.linalg.norm(points[0][one] - points[1][two])
                    found[query, image] = min(found[query, image], metres)
    return found


@pytest.fixture(params=["seq2seq", "im2seq", "seq2im"])
def pair(request: pytest.FixtureRequest) -> SequencePair:
    frames = [drives(seed, [count // 3] * 3) for seed, count in ((0, 21), (1, 30))]
    windows = [cut_windows(own, 3, np.arange(len(own.frame)), "x") for own in frames]
    if request.param != "seq2seq":
        windows[request.param == "seq2im"] = single_images(np.arange((21, 30)[request.param == "seq2im"]))
    return SequencePair(random_places(2, 21), random_places(3, 30), *windows)


def test_the_smallest_distance_of_two_frames(pair: SequencePair, monkeypatch: pytest.MonkeyPatch):
    expected = apart(pair)
    asked = np.random.default_rng(4).integers(0, expected.shape[1], (len(expected), 7))
    monkeypatch.setattr(sequence_distances, "BLOCK", 200)
    assert np.allclose(pair.distances(asked), np.take_along_axis(expected, asked, 1))


def test_the_nearest_window(pair: SequencePair):
    expected = apart(pair)
    metres, windows, turn = pair.nearest(25.0)
    # Up to 10 cm farther, the heading decides.
    assert (metres <= expected.min(axis=1) + 0.1).all()
    assert np.allclose(expected[np.arange(len(expected)), windows], metres)
    assert ((turn >= 0) & (turn <= 180)).all()
    some = np.array([1, 4])
    part = pair.nearest(25.0, some)
    assert np.array_equal(part[0], metres[some]) and np.array_equal(part[1], windows[some])


def test_all_windows_within_a_distance(pair: SequencePair):
    expected = apart(pair) <= 12
    found = list(pair.within(12.0))
    assert [sorted(own.tolist()) for own in found] == [np.flatnonzero(row).tolist() for row in expected]
    assert expected.any() and not expected.all()


def test_lists_of_windows(pair: SequencePair):
    correct = np.random.default_rng(5).random((21, 30)) < 0.02
    rows = pair.query_windows.rows, pair.database_windows.rows
    expected = np.array([[correct[np.ix_(own, other)].any() for other in rows[1]] for own in rows[0]])
    found = pair.positives(from_matrix(correct))
    everything = np.tile(np.arange(len(rows[1])), (len(rows[0]), 1))
    assert np.array_equal(found.contains(everything), expected) and expected.any() and not expected.all()
