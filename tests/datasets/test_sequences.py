"""Sequences and frames of images, and windows of consecutive frames."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from commons.errors import ArgumentError, PlacewiseError
from datasets.places import Frames, make_places
from datasets.sequences import cut_windows, frames_from, frames_of, single_images
from datasets.tables import read_table
from tests.conftest import EAST, NORTH, sf_name, write_picture


def named(names: list[str]) -> tuple[list[int], list[int]]:
    found = frames_of(make_places(Path("x"), pa.array(names)))
    return found.sequence.tolist(), found.frame.tolist()


def test_names_hold_sequence_and_frame():
    drives = [f"a/{sf_name(EAST, NORTH, note='night_0007')}", f"b/{sf_name(EAST, NORTH, note='12')}", "b/img-3.png"]
    assert named(drives) == ([0, 1, 1], [7, 12, 3])
    jist = "@0550000.00@4180000.00@{}@{}@key@sf@20200101@.jpg"
    assert named([jist.format("k1", 5), "k2/" + jist.format("k2", 6), jist.format("k1", 4)]) == ([0, 1, 0], [5, 6, 4])


@pytest.mark.parametrize(
    "name",
    [
        sf_name(EAST, NORTH, note="day"),
        f"a/{sf_name(EAST, NORTH)}",  # its time is no frame
        f"a/@{EAST}@{NORTH}@.jpg",
        sf_name(EAST, NORTH, note="7"),  # no folder
        "0001.jpg",
        "a/first.jpg",
    ],
)
def test_other_names_hold_none(name: str):
    assert named([name]) == ([-1], [0])


def test_columns_of_a_table(tmp_path: Path):
    for number in range(4):
        write_picture(tmp_path / f"{number}.jpg", number, np.random.default_rng(0))
    rows = ["0.jpg,45,7,drive 1,3", "1.jpg,45,7,drive 1,4", "2.jpg,45,7,,1", "3.jpg,45,7,2,0"]
    table = tmp_path / "places.csv"
    table.write_text("path,latitude,longitude,sequence,frame\n" + "\n".join(rows) + "\n")
    frames = frames_of(read_table(table))
    assert frames.frame[:2].tolist() == [3, 4] and frames.frame[3] == 0
    assert frames.sequence[0] == frames.sequence[1] != frames.sequence[3] and frames.sequence[2] == -1
    assert frames_of(read_table(table).take(np.array([3, 1]))).frame.tolist() == [0, 4]
    table.write_text("path,latitude,longitude,sequence,frame\n0.jpg,45,7,1,three\n")
    with pytest.raises(PlacewiseError, match="frame three is not a number: write a whole number"):
        read_table(table)
    table.write_text("path,latitude,longitude,sequence,frame\n0.jpg,45,7,1,2.5\n")
    with pytest.raises(PlacewiseError, match=r"row 1: frame 2\.5 is not a whole number"):
        read_table(table)


#          row: 0  1  2  3  4  5  6  7  8
SEQUENCE = [1, 1, 0, 0, 0, 0, 1, -1, 0]
FRAME = [9, 8, 3, 1, 2, 5, 7, 4, 6]
FRAMES = Frames(np.array(SEQUENCE), np.array(FRAME))


def test_windows_end_where_a_sequence_or_a_run_ends():
    """Sequence 0 has the frames 1 2 3, a gap, 5 6; sequence 1 has 7 8 9."""
    windows = cut_windows(FRAMES, 2, np.arange(9), "x")
    # by their middle, the first of two frames
    assert windows.rows.tolist() == [[1, 0], [3, 4], [4, 2], [5, 8], [6, 1]]
    assert windows.middle.tolist() == [1, 3, 4, 5, 6]
    assert (windows.gaps, windows.left_out) == (1, 1)
    assert windows.order[windows.low].tolist() == [6, 3, 3, 5, 6]
    assert windows.order[windows.high].tolist() == [0, 2, 2, 8, 0]
    three = cut_windows(FRAMES, 3, np.arange(9), "x")
    assert three.rows.tolist() == [[6, 1, 0], [3, 4, 2]] and three.middle.tolist() == [1, 4]
    assert three.take(np.array([1])).rows.tolist() == [[3, 4, 2]]


def test_an_image_that_is_not_there_cuts_its_sequence():
    windows = cut_windows(FRAMES, 2, np.array([0, 2, 3, 5, 6, 8]), "x")
    assert windows.rows.tolist() == [[5, 8]] and windows.gaps == 3


def test_windows_of_one_frame_are_the_images():
    rows = np.array([1, 4, 6])
    for windows in (single_images(rows), cut_windows(FRAMES, 1, rows, "x")):
        assert windows.rows.tolist() == [[1], [4], [6]] and windows.middle.tolist() == [1, 4, 6]


def test_the_window_around_a_frame():
    frames = Frames(np.zeros(8, int), np.array([0, 1, 2, 3, 4, 10, 11, 12]))
    windows = cut_windows(frames, 3, np.arange(8), "x")
    assert windows.middle.tolist() == [1, 2, 3, 6]
    assert windows.around(np.arange(8)).tolist() == [0, 0, 1, 2, 2, 3, 3, 3]
    some = windows.take(np.array([0, 3]))
    assert some.around(np.array([2, 1, 7])).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("frames", "length", "words"),
    [
        (Frames(np.full(3, -1), np.zeros(3, int)), 2, "set: queries have no sequence and frame: add the columns"),
        (Frames(np.zeros(3, int), np.array([1, 2, 2])), 2, r"frame 2 occurs twice in a sequence \(1 such"),
        (FRAMES, 4, r"4: set: queries have at most 3 consecutive frame\(s\) of one sequence"),
    ],
)
def test_mistakes(frames: Frames, length: int, words: str):
    with pytest.raises(ArgumentError, match=words) as caught:
        cut_windows(frames, length, np.arange(len(frames.frame)), "set: queries")
    assert caught.value.argument == "sequence_length"


def test_sequences_without_a_name_are_unknown():
    frames = frames_from(pa.array(["a", None, "", "b"]), np.array([1, 2, 3, np.nan]), "x")
    assert frames.sequence.tolist() == [0, -1, -1, -1]
