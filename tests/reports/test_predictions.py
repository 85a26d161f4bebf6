import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reports import predictions
from reports.predictions import Match, QueryResult, draw_sheet, format_distance, paths_text, save_predictions

TILE, FRAME, GAP = 80, 2, 4
SIDE = TILE + 2 * FRAME
GREEN, RED, GREY, BLUE, DARK = (26, 152, 80), (215, 48, 39), (160, 166, 175), (31, 105, 200), (58, 63, 72)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / '@0303236.51@ photo #1 100% "ü".png'
    Image.new("RGB", (40, 40), (200, 100, 0)).save(path)
    return path


def make_result(photo: Path, *correct: bool | None, positive: Match | None = None) -> QueryResult:
    return QueryResult(photo, 90.0, [Match(photo, c, 12.34, 0.5, 30.0) for c in correct], positive)


def left_of(cell: int, positive: bool = False) -> int:
    """Left edge of a cell: query, predictions and positive are set apart by three gaps instead of one."""
    return GAP + cell * (SIDE + GAP) + (2 * GAP if cell else 0) + (2 * GAP if positive else 0)


def test_frames_have_the_colours_of_their_meaning(photo):
    sheet = draw_sheet(make_result(photo, False, True, None, positive=Match(photo, True)), TILE)
    lefts = [left_of(0), left_of(1), left_of(2), left_of(3), left_of(4, positive=True)]
    for left, colour in zip(lefts, [DARK, RED, GREEN, GREY, BLUE], strict=True):
        assert sheet.getpixel((left, GAP)) == colour
        assert sheet.getpixel((left + SIDE - 1, GAP + SIDE - 1)) == colour
        assert sheet.getpixel((left - 1, GAP)) == sheet.getpixel((left + SIDE, GAP)) == (255, 255, 255)
        assert sheet.getpixel((left + FRAME, GAP + FRAME)) == (200, 100, 0)
        assert sheet.getpixel((left + FRAME + TILE - 1, GAP + FRAME + TILE - 1)) == (200, 100, 0)
    assert sheet.mode == "RGB"
    assert sheet.size == (lefts[-1] + SIDE + GAP, GAP + SIDE + round(0.22 * TILE))


def test_sheet_of_a_query_without_predictions_shows_the_query(photo):
    assert draw_sheet(QueryResult(photo, None, []), TILE).width == GAP + SIDE + GAP


def test_matches_of_which_only_the_file_and_the_verdict_are_known(photo, tmp_path):
    """Tasks without headings, similarities or distances have sheets and a gallery too."""
    results = [QueryResult(photo, None, [Match(photo, correct)]) for correct in (True, False, None)]
    assert save_predictions(results, tmp_path / "run") == 3
    records = json.loads((tmp_path / "run" / "preds" / "predictions.json").read_text())
    unknown = {"distance": None, "similarity": None, "heading": None, "inliers": None}
    assert [record["matches"] for record in records] == [
        [{"path": str(photo), "correct": correct} | unknown] for correct in (True, False, None)
    ]
    assert (tmp_path / "run" / "preds" / "index.html").is_file()


def test_verdict_is_also_drawn_as_a_sign(photo):
    sheet = np.asarray(draw_sheet(make_result(photo, True, False, None)))
    below = sheet[16 + 336 :]
    assert (below == GREEN).all(axis=2).any() and (below == RED).all(axis=2).any()


@pytest.mark.parametrize(
    ("metres", "text"),
    [
        (12.34, "12.3 m"),
        (0, "0.0 m"),
        (999.94, "999.9 m"),
        (999.96, "1.0 km"),
        (1449, "1.4 km"),
        (None, ""),
        (float("nan"), ""),
    ],
)
def test_format_distance(metres, text):
    assert format_distance(metres) == text


def test_captions():
    match = Match(Path("a.jpg"), True, 1400.0, 0.8126, 359.7)
    cells = predictions._cells(QueryResult(Path("q.jpg"), 5.2, [match], Match(Path("p.jpg"))))
    assert [cell.title for cell in cells] == ["query", "1  ·  1.4 km", "nearest positive"]
    assert [cell.details for cell in cells] == ["heading 5°", "similarity 0.813  ·  heading 0°", ""]


def test_correct_is_that_of_the_first_prediction(photo):
    assert make_result(photo, True, False).correct is True
    assert make_result(photo, False, True).correct is False
    assert make_result(photo, None, True).correct is None
    assert make_result(photo).correct is None
    assert make_result(photo, np.False_).correct is False


def test_save_predictions_writes_sheets_and_their_data(tmp_path, photo):
    positive = Match(photo, True, np.float32(8.5), float("nan"), None)
    results = [make_result(photo, True), make_result(photo, np.False_, positive=positive)]
    assert save_predictions(iter(results), tmp_path) == 2
    preds = tmp_path / "preds"
    written = {"0000.jpg", "0001.jpg", "000.txt", "001.txt", "predictions.json", "index.html"}
    assert {path.name for path in preds.iterdir()} == written
    first, second = json.loads((preds / "predictions.json").read_text())
    match = {"path": str(photo), "correct": True, "distance": 12.34, "similarity": 0.5, "heading": 30.0}
    match |= {"inliers": None}
    with Image.open(preds / "0000.jpg") as sheet:
        size = dict(zip(("width", "height"), sheet.size, strict=True))
    assert first == {
        "index": 0,
        "sheet": "0000.jpg",
        **size,
        "inliers": None,
        "path": str(photo),
        "heading": 90.0,
        "correct": True,
        "matches": [match],
        "nearest_positive": None,
    }
    assert second["correct"] is False
    assert second["matches"] == [{**match, "correct": False}]
    assert second["nearest_positive"] == {
        "path": str(photo),
        "correct": True,
        "distance": 8.5,
        "similarity": None,
        "heading": None,
        "inliers": None,
    }


def test_only_wrong_keeps_the_numbers_of_the_whole_list(tmp_path, photo):
    results = [make_result(photo, correct) for correct in (True, False, None, True, False)]
    assert save_predictions(results, tmp_path, only_wrong=True) == 2
    assert sorted(path.name for path in (tmp_path / "preds").glob("*.jpg")) == ["0001.jpg", "0004.jpg"]
    records = json.loads((tmp_path / "preds" / "predictions.json").read_text())
    assert [record["index"] for record in records] == [1, 4]


def test_order_is_kept_over_many_queries(tmp_path, photo):
    results = [QueryResult(photo, float(heading), []) for heading in range(40)]
    save_predictions(results, tmp_path)
    records = json.loads((tmp_path / "preds" / "predictions.json").read_text())
    assert [(record["sheet"], record["heading"]) for record in records] == [(f"{i:04d}.jpg", i) for i in range(40)]


def test_no_results_make_an_empty_gallery(tmp_path):
    assert save_predictions([], tmp_path) == 0
    assert json.loads((tmp_path / "preds" / "predictions.json").read_text()) == []
    assert (tmp_path / "preds" / "index.html").exists()


def test_stale_folder_and_leftovers_of_a_killed_call_are_replaced(tmp_path, photo):
    for stale in ("preds/0099.jpg", ".preds-new/half.jpg", ".preds-old/0001.jpg"):
        (tmp_path / stale).parent.mkdir()
        (tmp_path / stale).touch()
    save_predictions([make_result(photo, True)], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["preds"]
    assert not (tmp_path / "preds" / "0099.jpg").exists()


def test_an_error_leaves_the_earlier_folder_untouched(tmp_path, photo):
    save_predictions([make_result(photo, True)], tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "preds").iterdir()}

    def failing():
        yield make_result(photo, False)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        save_predictions(failing(), tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "preds").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["preds"]


def test_paths_are_written_as_programs_that_match_images_read_them(tmp_path: Path):
    """The query is line 1, predictions go from line 4 to the next empty line, positives follow their heading."""
    matches = [Match(Path("d/@1@2@.jpg")), Match(Path("d/@3@4@.jpg"))]
    text = paths_text(QueryResult(Path("q/@0@0@.jpg"), None, matches, None, [Path("d/@5@6@.jpg")]))
    assert text == (
        "Query path:\nq/@0@0@.jpg\n\nPredictions paths:\nd/@1@2@.jpg\nd/@3@4@.jpg\n\nPositives paths:\nd/@5@6@.jpg\n"
    )
    lines = text.splitlines()
    assert (lines[1], lines[4 : lines.index("", 4)]) == ("q/@0@0@.jpg", ["d/@1@2@.jpg", "d/@3@4@.jpg"])
    nothing = paths_text(QueryResult(Path("q.jpg"), None, matches, None, []))
    assert nothing.endswith("@3@4@.jpg\n\nPositives paths:\n\n")
    assert "Positives" not in paths_text(QueryResult(Path("q.jpg"), None, matches))
