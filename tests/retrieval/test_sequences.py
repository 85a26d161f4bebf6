"""Mean descriptors and lines through the matrix of distances, against plain Python loops."""

import math

import numpy as np
import pytest

from datasets.places import Frames
from datasets.sequences import Windows, cut_windows, single_images
from retrieval import sequences
from retrieval.sequences import FrameTable, line_offsets, match_lines, mean_descriptors
from retrieval.table import DescriptorTable
from tests.retrieval.test_index import unit


def rounded(value: float) -> int:
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def test_lines_by_hand():
    assert line_offsets(5, 2, 1, 1).tolist() == [[-2, -1, 0, 1, 2]]
    assert line_offsets(5, 2, 0.8, 1.2).tolist() == [[-2, -1, 0, 1, 2]]
    assert line_offsets(4, 1, 2, 2).tolist() == [[-2, 0, 2, 4]]
    # At 0.25, 0.5, 0.75, 1.25 and 1.5 one of v and 2 v changes its rounded value.
    assert line_offsets(3, 0, 0.2, 1.6).tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 2], [0, 1, 3], [0, 2, 3]]
    assert line_offsets(1, 0, 0.5, 2).tolist() == [[0]]


@pytest.mark.parametrize(("length", "low", "high"), [(2, 0.1, 3), (5, 0.5, 2), (8, 0.8, 1.2), (9, 1.5, 4)])
def test_no_line_is_missing(length: int, low: float, high: float):
    before = (length - 1) // 2
    dense = {
        tuple(rounded(v * step) for step in range(-before, length - before)) for v in np.linspace(low, high, 20_001)
    }
    found = set(map(tuple, line_offsets(length, before, low, high).tolist()))
    assert found >= dense and len(found) <= len(dense) + 2  # the ends of the range may be lines of their own


def table_of(vectors: np.ndarray, draw: np.random.Generator) -> DescriptorTable:
    """Descriptors that came in another order."""
    order = draw.permutation(len(vectors))
    table = DescriptorTable(len(vectors), vectors.shape[1])
    table.add([(order, vectors[order])])
    return table


def drives(seed: int, sizes: list[int]) -> Frames:
    """Sequences of so many frames, whose images are mixed; the first frame of a sequence is not 0."""
    sequence = np.repeat(np.arange(len(sizes)), sizes)
    frame = np.concatenate([np.arange(size) + 10 for size in sizes])
    order = np.random.default_rng(seed).permutation(len(sequence))
    return Frames(sequence[order], frame[order])


def looped(
    database: np.ndarray, queries: np.ndarray, windows: list[Windows], length: int, velocities: np.ndarray
) -> np.ndarray:
    """The formula of seqmatch, pair by pair, (q, w)."""
    before = (length - 1) // 2
    found = np.full([len(own) for own in reversed(windows)], np.inf)
    for query in range(len(windows[1])):
        for image in range(len(windows[0])):
            for v in velocities:
                total = 0.0
                for step in range(-before, length - before):
                    rows = []
                    for own, number, shift in ((windows[1], query, step), (windows[0], image, rounded(v * step))):
                        middle = own.start[number] + (own.length - 1) // 2
                        place = min(max(middle + shift, own.low[number]), own.high[number])
                        rows.append(own.order[place])
                    total += float(np.linalg.norm(queries[rows[0]] - database[rows[1]]))
                found[query, image] = min(found[query, image], total / length)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["seq2seq", "im2seq", "seq2im"])
@pytest.mark.parametrize("length", [2, 5])
def test_seqmatch_equals_a_plain_loop(mode: str, length: int, monkeypatch: pytest.MonkeyPatch):
    """Also at the ends of sequences, where fast lines stop, and whatever the blocks."""
    draw = np.random.default_rng(0)
    database, queries = unit(draw, 30, 8), unit(draw, 16, 8)
    windows = [
        cut_windows(drives(1, [13, 7, 10]), length, np.arange(30), "x"),
        cut_windows(drives(2, [9, 7]), length, np.arange(16), "x"),
    ]
    if mode == "seq2im":
        windows[0] = single_images(np.arange(30))
    if mode == "im2seq":
        windows[1] = single_images(np.arange(16))
    expected = looped(database, queries, windows, length, np.linspace(0.501, 2.499, 81))
    monkeypatch.setattr(sequences, "BYTES", 4 * 30 * 13 * 3)
    tables = [
        FrameTable(table_of(vectors, draw), own, np.arange(len(own)))
        for vectors, own in zip((database, queries), windows, strict=True)
    ]
    lines = line_offsets(length, (length - 1) // 2, 0.501, 2.499)
    assert len(lines) > 1
    found, similarities = match_lines(*tables, k=6, lines=lines)
    best = np.sort(expected, axis=1)[:, :6]
    assert np.allclose(similarities, 1 - best**2 / 2, atol=1e-5)
    assert np.allclose(np.take_along_axis(expected, found, 1), best, atol=1e-5)
    # Some windows only, as of one city: the others' frames do not count.
    some = np.flatnonzero(windows[0].low == windows[0].low[3])
    found, similarities = match_lines(tables[0].among(some), tables[1], k=2, lines=lines)
    assert np.isin(found, some).all()
    assert np.allclose(similarities, 1 - np.sort(expected[:, some], axis=1)[:, :2] ** 2 / 2, atol=1e-5)


def test_mean_descriptors_equal_a_plain_loop(monkeypatch: pytest.MonkeyPatch):
    draw = np.random.default_rng(3)
    vectors = unit(draw, 20, 8)
    windows = cut_windows(drives(4, [12, 8]), 4, np.arange(20), "x")
    monkeypatch.setattr(sequences, "STEP", 3)
    parts = list(mean_descriptors(table_of(vectors, draw), windows))
    assert np.concatenate([numbers for numbers, _ in parts]).tolist() == list(range(len(windows)))
    found = np.concatenate([means for _, means in parts])
    for mean, rows in zip(found, windows.rows, strict=True):
        total = sum(vectors[row].astype(float) for row in rows)
        assert np.allclose(mean, total / np.linalg.norm(total), atol=1e-6)


def test_a_faster_drive_is_found_by_its_line():
    """Frames of a noisy second drive at twice the speed: only lines of that slope match all of them."""
    draw = np.random.default_rng(5)
    database = unit(draw, 60, 16)
    queries = database[2:58:2] + draw.normal(0, 0.3, (28, 16)).astype(np.float32)
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    tables = []
    for vectors in (database, queries):
        frames = Frames(np.zeros(len(vectors), int), np.arange(len(vectors)))
        windows = cut_windows(frames, 5, np.arange(len(vectors)), "x")
        tables.append(FrameTable(table_of(vectors, draw), windows, np.arange(len(windows))))
    wanted = 2 + 2 * tables[1].windows.middle
    share = {}
    for velocity in (1.0, 2.0):
        found, _ = match_lines(*tables, k=1, lines=line_offsets(5, 2, velocity, velocity))
        share[velocity] = (tables[0].windows.middle[found[:, 0]] == wanted).mean()
    assert share[2.0] == 1 > share[1.0]
