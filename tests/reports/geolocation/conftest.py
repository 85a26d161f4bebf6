"""A country of three cells, six photos, and a browser."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from PIL import Image

from reports.geolocation.cells import ReportCells

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
STYLES = "style-src 'unsafe-inline'"
WATCH = """
<script>
window.failures = [];
addEventListener("error", event => failures.push(event.message), true);
addEventListener("securitypolicyviolation", event => failures.push(event.blockedURI || event.violatedDirective));
addEventListener("load", () => setTimeout(() => {
  const result = (() => { %s })();
  const requests = performance.getEntriesByType("resource").map(entry => entry.name.slice(0, 60));
  const found = document.createElement("pre");
  found.id = "found";
  found.textContent = JSON.stringify({ result, failures, requests });
  document.body.append(found);
}, 300));
</script>
"""


@pytest.fixture(scope="session")
def cells() -> ReportCells:
    """Squares of one degree from 10 to 13 degrees east; the last two belong to one coarser cell."""
    return ReportCells(
        names=np.array(["west", "<b>mid", "east"], dtype=object),
        outlines=np.array([shapely.box(x, 50, x + 1, 51) for x in (10, 11, 12)]),
        latitude=np.full(3, 50.5),
        longitude=np.array([10.5, 11.5, 12.5]),
        images=np.array([5, 50, 500]),
        area_km2=np.array([7900.0, 7900.0, 7900.0]),
        groups=np.array([0, 1, 1]),
    )


@pytest.fixture(scope="session")
def predictions() -> pa.Table:
    """Three right photos, one far off, one without an answer and one without a true position, in this order."""
    nan = float("nan")
    return pa.table(
        {
            "path": ["a.jpg", "sub/b.jpg", "c</script>.jpg", "d.jpg", "broken.jpg", "f.jpg"],
            "latitude": [50.5, 50.2, 50.9, 50.4, 50.5, nan],
            "longitude": [10.5, 11.2, 12.9, 10.1, 11.0, nan],
            "predicted_latitude": [50.5, 50.5, 50.5, 50.5, nan, 50.5],
            "predicted_longitude": [10.5, 11.5, 12.5, 12.5, nan, 12.5],
            "error_km": [0.0, 39.5, 52.7, 170.2, nan, nan],
            "cell": pa.array([0, 1, 2, 0, 1, -1], pa.int32()),
            "predicted_cell": pa.array([0, 1, 2, 2, -1, 2], pa.int32()),
            "probability": pa.array([0.9, 0.5, 0.4, 0.6, None, 0.7], pa.float32()),
            "top_cells": pa.array([[0, 1], [1, 0], [2, 1], [2, 0], [], [2, 1]], pa.list_(pa.int32())),
            "top_probabilities": pa.array(
                [[0.9, 0.1], [0.5, 0.3], [0.4, 0.2], [0.6, 0.1], [], [0.7, 0.2]], pa.list_(pa.float32())
            ),
            "region": ["W", "E", "E", "W", "E", None],
        }
    )


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photos' folder; one photo cannot be read and two are missing."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "sub").mkdir()
    for number, name in enumerate(("a.jpg", "sub/b.jpg", "d.jpg")):
        Image.new("RGB", (64, 48), (80 * number, 100, 150)).save(folder / name)
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def open_page(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Returns a function that opens a page in a browser without a window and runs the body of a function in it.

    It returns `result` of that function, `failures` of scripts and of the page's security policy, and `requests`, the
    addresses that the page asked for.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")

    def open_page(page: Path, script: str = "return null;", fragment: str = "") -> dict[str, Any]:
        watched = page.with_name("watched.html")
        # Pages without scripts of their own forbid them; the copy allows that of the test.
        text = page.read_text("utf-8").replace(STYLES + '"', STYLES + "; script-src 'unsafe-inline'\"")
        watched.write_text(text.replace("<title>", WATCH % script + "<title>", 1), "utf-8")
        command = [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1000,700", "--dump-dom",
            "--virtual-time-budget=3000", f"--user-data-dir={tmp_path / 'profile'}", f"file://{watched}{fragment}",
        ]  # fmt: skip
        found = subprocess.run(command, capture_output=True, text=True, timeout=120)
        island = re.search(r'<pre id="found">(.*?)</pre>', found.stdout, re.S)
        assert island, found.stderr[-2000:]
        return json.loads(unescape(island[1]))

    return open_page
