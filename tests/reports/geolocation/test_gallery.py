import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from reports.geolocation.cells import ReportCells
from reports.geolocation.gallery import gallery_rows, kilometres, write_gallery


def test_rows(predictions: pa.Table):
    assert [rows.tolist() for rows in gallery_rows(predictions, 1)] == [[3], [0]]
    assert [rows.tolist() for rows in gallery_rows(predictions, 9)] == [[3, 2], [0, 1]]
    assert [rows.tolist() for rows in gallery_rows(predictions.slice(0, 3), 9)] == [[2], [0]]
    assert [rows.tolist() for rows in gallery_rows(predictions.slice(0, 1), 9)] == [[0], []]
    assert [rows.tolist() for rows in gallery_rows(predictions.slice(4), 9)] == [[], []]


def test_cards(tmp_path: Path, predictions: pa.Table, cells: ReportCells, images: Path):
    write_gallery(tmp_path / "gallery.html", predictions, cells, images, "<i>", {"b": None, "sub/b.jpg": np.eye(3)})
    page = (tmp_path / "gallery.html").read_text("utf-8")
    assert re.findall(r"<b>(.*?)</b>", page) == ["170 km", "53 km", "0 m", "40 km"]
    assert re.findall(r"map.html#photo=(\d)", page) == ["3", "2", "0", "1"]
    assert "in west, answer east (60 %)" in page and "in &lt;b&gt;mid, answer &lt;b&gt;mid (50 %)" in page
    assert "<i>" not in page and 'title="c&lt;/script&gt;.jpg"' in page and "<script" not in page
    pictures = [card.count("data:image/jpeg") for card in page.split("class=card>")[1:]]
    assert pictures == [1, 1, 1, 2]  # the photo that is missing gets a grey picture


def test_no_photo_has_an_error(tmp_path: Path, predictions: pa.Table, cells: ReportCells, images: Path):
    write_gallery(tmp_path / "gallery.html", predictions.slice(4), cells, images)
    assert "class=card>" not in (tmp_path / "gallery.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("km", "text"), [(0.0123, "12 m"), (9.96, "10.0 km"), (12.4, "12 km"), (12345.6, "12,346 km"), (np.nan, "–")]
)
def test_kilometres(km: float, text: str):
    assert kilometres(km) == text
