from pathlib import Path

import numpy as np
from PIL import Image

from reports.inlier_pictures import MOST_LINES, draw_inliers
from reports.predictions import Match, QueryResult, save_predictions
from reports.tiles import tile_box
from tests.reports.test_gallery import read_entries


def photo(path: Path, size: tuple[int, int]) -> Path:
    Image.new("RGB", size, (255, 255, 255)).save(path)
    return path


def test_a_line_joins_the_two_points(tmp_path: Path):
    """Tiles of 100 with a gap of 5: the query is 100 x 50, the prediction 50 x 100."""
    query, found = photo(tmp_path / "q.png", (200, 100)), photo(tmp_path / "d.png", (50, 100))
    assert tile_box(query, 100) == (0, 25, 100, 75) and tile_box(found, 100) == (25, 0, 75, 100)
    lines = np.array([[0.5, 0.5, 0.5, 0.5]])  # from (5 + 50, 5 + 50) to (110 + 50, 5 + 50)
    sheet = draw_inliers(query, [(found, lines)], 100)
    assert sheet.size == (3 * 5 + 200, 5 + 117)
    row = np.asarray(sheet)[55].astype(int)
    coloured = np.flatnonzero(row.max(axis=1) - row.min(axis=1) > 100)
    assert coloured.tolist() == list(range(55, 161))
    corner = np.asarray(draw_inliers(query, [(found, np.array([[0, 0, 1, 1]]))], 100)).astype(int)
    assert np.ptp(corner[30, 5]) > 100 and np.ptp(corner[105, 185]) > 100  # of the photos, not of their squares


def test_rows_and_many_lines(tmp_path: Path):
    query = photo(tmp_path / "q.png", (100, 100))
    lines = np.repeat(np.linspace(0, 1, 1000)[:, None], 4, axis=1)
    sheet = draw_inliers(query, [(query, lines), (query, lines[:0]), (tmp_path / "missing.png", lines[:3])], 200)
    assert sheet.height == 10 + 3 * (200 + 24 + 10)
    pixels = np.asarray(sheet).astype(int)
    seen = {tuple(pixels[y, 115]) for y in range(10, 210)}
    assert 20 < len(seen) <= MOST_LINES + 20


def test_a_photo_that_is_turned_by_its_exif_data(tmp_path: Path):
    image, exif = Image.new("RGB", (200, 100)), Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert tile_box(tmp_path / "turned.jpg", 100) == (25, 0, 75, 100)


def test_pictures_are_in_the_gallery(tmp_path: Path):
    query = photo(tmp_path / "q.png", (60, 60))
    match = Match(query, True, 3.0, 0.5, None, 7, np.full((7, 4), 0.5))
    results = [QueryResult(query, None, [match, Match(query, False)]), QueryResult(query, None, [Match(query, True)])]
    save_predictions(results, tmp_path)
    names = {path.name for path in (tmp_path / "preds").glob("*.jpg")}
    assert names == {"0000.jpg", "0000_inliers.jpg", "0001.jpg"}
    first, second = sorted(read_entries(tmp_path / "preds" / "index.html"), key=lambda entry: entry["index"])
    assert first["inliers"]["source"] == first["inliers"]["sheet"] == "0000_inliers.jpg"
    assert [match["inliers"] for match in first["matches"]] == [7, None]
    assert second["inliers"] is None
