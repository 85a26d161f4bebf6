from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commons.errors import PlacewiseError
from tests.reports.test_predictions_table import save
from tools.errors import find_tables, report_errors


def test_report(tmp_path: Path):
    save(tmp_path / "run" / "predictions.parquet")
    (tmp_path / "run" / "results.json").touch()
    (file,) = find_tables(tmp_path / "run")
    text = report_errors(file, tmp_path / "out", worst=3)
    assert "| all queries | 3 | 1 | 33.3 | 6.1 to 79.2 | 66.7 |" in text
    assert "| 0 to 5 m | 2 | 1 | 50.0 | 9.5 to 90.5 | 100.0 |" in text
    assert "| /q/1.jpg | /d/12.jpg | 90 m | 0.900 | 0.050 | rank 2 | 30° |" in text
    assert "/q/2.jpg" not in text
    assert "Queries without a right image in the database are not listed: 1." in text
    assert "![recall by bins](errors.png)" in (tmp_path / "out" / "errors.md").read_text()
    with Image.open(tmp_path / "out" / "errors.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_several_test_sets(tmp_path: Path):
    (tmp_path / "results.json").touch()
    for name in ("b", "a"):
        save(tmp_path / name / "predictions.parquet")
    assert [file.parent.name for file in find_tables(tmp_path)] == ["a", "b"]


def test_mistakes(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(PlacewiseError, match="not the folder of a finished run"):
            find_tables(folder)
    (tmp_path / "results.json").touch()
    with pytest.raises(PlacewiseError, match="evaluate its best_model.pth with eval.py"):
        find_tables(tmp_path)
    save(tmp_path / "predictions.parquet", labelled=False)
    with pytest.raises(PlacewiseError, match="`no_labels`"):
        report_errors(tmp_path / "predictions.parquet", tmp_path / "out", 3)
    assert not (tmp_path / "out").exists()
