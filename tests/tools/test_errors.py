from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from commons.errors import PlacewiseError
from reports.error_bins import all_sections
from reports.predictions_table import load_predictions_table
from tests.reports.test_predictions_table import save
from tools.errors import _link, errors_markdown, find_tables, report_errors, worst_queries


def test_worst_are_wrong_answerable_and_confident():
    table = pa.table(
        {
            "query": list("abcde"),
            "first_right": pa.array([1, 2, None, None, 4], pa.int32()),
            "nearest_distance": pa.array([1, 2, 25.0, 26.0, 3], pa.float32()),
            "margin": [0.9, 0.1, 0.3, 0.8, 0.2],
        }
    )
    assert worst_queries(table, 25.0, 10)["query"].to_pylist() == ["c", "e", "b"]
    assert worst_queries(table, 25.0, 1)["query"].to_pylist() == ["c"]


def test_report(tmp_path: Path):
    save(tmp_path / "run" / "predictions.parquet")
    (tmp_path / "run" / "results.json").touch()
    (file,) = find_tables(tmp_path / "run")
    text = report_errors(file, tmp_path / "out", worst=3)
    assert "| all queries | 3 | 1 | 33.3 | 6.1 to 79.2 | 66.7 |" in text
    assert "| 0 to 5 m | 2 | 1 | 50.0 | 9.5 to 90.5 | 100.0 |" in text
    assert "| /q/1.jpg | /d/12.jpg | 90 m | 0.900 | 0.050 | rank 2 | 30° |" in text
    assert "/q/2.jpg" not in text
    assert "are not listed: 1." in text
    assert "![recall by bins](errors.png)" in (tmp_path / "out" / "errors.md").read_text()
    with Image.open(tmp_path / "out" / "errors.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_images_that_are_there_are_linked(tmp_path: Path):
    save(tmp_path / "predictions.parquet")
    table, about = load_predictions_table(tmp_path / "predictions.parquet")
    (tmp_path / "q").mkdir()
    (tmp_path / "q" / "1.jpg").touch()
    about["queries_folder"] = str(tmp_path / "q")
    text = errors_markdown(table, about, all_sections(table, about), 3, tmp_path / "out")
    assert "| [1.jpg](<../q/1.jpg>) | /d/12.jpg |" in text


def test_links_keep_names_with_signs_of_addresses(tmp_path: Path):
    image = tmp_path / "a@1 [x]#50%?.jpg"
    image.touch()
    assert _link(image, tmp_path / "out") == "[a@1 &#91;x&#93;#50%?.jpg](<../a@1%20%5Bx%5D%2350%25%3F.jpg>)"


def test_several_test_sets(tmp_path: Path):
    (tmp_path / "results.json").touch()
    for name in ("b", "a"):
        save(tmp_path / name / "predictions.parquet")
    assert [file.parent.name for file in find_tables(tmp_path)] == ["a", "b"]


def test_mistakes(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(PlacewiseError, match="is not the folder of a finished run"):
            find_tables(folder)
    (tmp_path / "results.json").touch()
    with pytest.raises(PlacewiseError, match="measure its best_model.pth with eval.py"):
        find_tables(tmp_path)
    save(tmp_path / "predictions.parquet", labelled=False)
    with pytest.raises(PlacewiseError, match="--no_labels"):
        report_errors(tmp_path / "predictions.parquet", tmp_path / "out", 3)
    assert not (tmp_path / "out").exists()
