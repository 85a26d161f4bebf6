"""The functions of the extraction benchmark on small images."""

from pathlib import Path

import pytest

from benchmarks import extraction
from benchmarks.common import write_street_images


def test_evaluation_gives_a_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(extraction, "BACKBONE", "MobileNet_V3_Small")
    for part in ("small", "test"):
        for what in ("database", "queries"):
            write_street_images(tmp_path / part / what, 2, 64)
    assert extraction.evaluation(tmp_path) > 0
    extraction.first_image(tmp_path / "small")
