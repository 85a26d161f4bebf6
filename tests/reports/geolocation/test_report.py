import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from metrics.geodesic import bootstrap_intervals, geodesic_metrics
from reports.geolocation.cells import ReportCells
from reports.geolocation.report import write_report

FILES = ["accuracy.png", "confusion.png", "errors.png", "gallery.html", "map.html", "report.html"]
PAGES = [name for name in FILES if name.endswith(".html")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, predictions: pa.Table, cells: ReportCells, images: Path) -> Path:
    written = tmp_path_factory.mktemp("report")
    distances = np.array([0.0, 39.5, 52.7, 170.2, np.nan])
    write_report(
        written, predictions, cells, geodesic_metrics(distances, (50.0, 200.0)), images, "A & <b>",
        bootstrap_intervals(distances, (50.0, 200.0)), (50.0, 200.0), {"d.jpg": np.eye(4)},
    )  # fmt: skip
    return written


def test_files(folder: Path):
    assert sorted(path.name for path in folder.iterdir()) == FILES


@pytest.mark.parametrize("name", PAGES)
def test_pages_ask_no_host(folder: Path, name: str):
    page = re.sub(r"data:image/\w+;base64,[\w+/=]+", "data:", (folder / name).read_text("utf-8"))
    assert "default-src 'none'; img-src data:;" in page and "{{" not in page
    assert not re.search(r"https?:|//[a-z]+\.|<link|<iframe|@import|url\(|\bimport\b|fetch\(|XMLHttp|WebSocket", page)
    sources = re.findall(r"\bsrc\s*=\s*[\"']?([^\"'\s>;]+)", page)
    assert set(sources) <= {"data:", "photo.thumbnail", "data.background.url"}
    links = re.findall(r"\bhref\s*=\s*[\"']?([^\"'\s>;]+)", page)
    assert all(re.fullmatch(r"(?:map|gallery|report)\.html(?:#photo=\d+)?|#\w+", link) for link in links)


def test_figures_and_pairs(folder: Path):
    page = (folder / "report.html").read_text("utf-8")
    assert "<h1>A &amp; &lt;b&gt;</h1>" in page and "6 photos, 3 cells" in page
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    assert rows[2][:2] == ["within 200 km", "80.0"] and ["unanswered", "1", ""] in rows
    assert re.fullmatch(r"\d+\.\d to \d+\.\d", rows[2][2])
    assert ["west", "east", "1", "50 %", "141 km"] in rows
    assert page.count("data:image/png") == 3 and 'href="gallery.html"' in page


def test_without_photos_intervals_and_errors(tmp_path: Path, predictions: pa.Table, cells: ReportCells):
    write_report(tmp_path, predictions.slice(0, 2), cells, {"median km": float("nan")})
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "gallery.html" not in page and not (tmp_path / "gallery.html").exists()
    assert "<td>median km</td><td class=n>–</td>" in page and "95 % interval</th>" not in page
    assert "No photo has a wrong cell." in page


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gallery.html", "report.html"])
def test_pages_in_a_browser_ask_no_host(folder: Path, name: str, tmp_path: Path, open_page):
    (tmp_path / name).write_bytes((folder / name).read_bytes())
    script = "return [...document.images].map(image => image.complete && image.naturalWidth > 0);"
    found = open_page(tmp_path / name, script)
    assert found["failures"] == [] and all(address.startswith("data:") for address in found["requests"])
    assert found["result"] and all(found["result"])
