import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from commons.errors import PlacewiseError
from reports.predictions_table import ADDED, find_tables
from tasks.predictions import keep_predictions
from tests.helpers import call
from tests.reports.test_predictions_table import save
from tests.tasks.test_confidence import drawn
from tools.confidence import report_confidence


def test_report(tmp_path: Path):
    probability = np.full(120, 0.25)
    keep_predictions(drawn(0), "x/test", tmp_path / "predictions.parquet", probability, "x/val")
    text = report_confidence(tmp_path / "predictions.parquet", tmp_path / "out")
    lines = text.splitlines()
    assert lines[:3] == ["## x/test", "", "| confidence | AUC-PR | R@100P |"]
    names = [line.split(" | ")[0].strip("| ") for line in lines[4:11]]
    assert set(names) == {"inliers", "probability", "L2", "PA-score", "SUE", "margin", "random"}
    areas = [float(line.split(" | ")[1]) for line in lines[4:11]]
    assert areas == sorted(areas, reverse=True)
    share = float((drawn(0).distances[:, 0] <= 25).mean())
    brier = share * 0.75**2 + (1 - share) * 0.25**2
    assert f"Brier score {brier:.3f}, expected calibration error {abs(share - 0.25):.3f}." in text
    assert "calibrated on x/val" in text
    assert "![precision and recall](confidence.png)" in (tmp_path / "out" / "confidence.md").read_text()
    with Image.open(tmp_path / "out" / "confidence.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_tables_of_earlier_versions_lack_columns(tmp_path: Path):
    file = tmp_path / "predictions.parquet"
    save(file)
    table = pq.read_table(file)
    pq.write_table(table.drop_columns(list(ADDED)), file)
    text = report_confidence(file, tmp_path / "out")
    assert "margin" in text and "SUE" not in text and "probability" not in text


def test_mistakes(tmp_path: Path):
    save(tmp_path / "predictions.parquet", labelled=False)
    with pytest.raises(PlacewiseError, match="`no_labels`"):
        report_confidence(tmp_path / "predictions.parquet", tmp_path / "out")
    own = drawn(0)
    own.distances[:] = 99
    keep_predictions(own, "x", tmp_path / "predictions.parquet")
    with pytest.raises(PlacewiseError, match="no first prediction is correct"):
        report_confidence(tmp_path / "predictions.parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_program(tmp_path: Path):
    (tmp_path / "results.json").write_text(json.dumps({}))
    for name in ("b", "a"):
        keep_predictions(drawn(0), name, tmp_path / name / "predictions.parquet")
    assert [file.parent.name for file in find_tables(tmp_path)] == ["a", "b"]
    code, output = call("tools.confidence", tmp_path)
    assert code == 0, output
    assert "## a" in output and (tmp_path / "confidence" / "b" / "confidence.png").is_file()
    code, output = call("tools.confidence", tmp_path / "nowhere")
    assert code == 1 and "is not the folder of a finished run" in output
