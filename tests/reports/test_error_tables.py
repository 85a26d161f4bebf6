from pathlib import Path

import pyarrow as pa

from reports.error_bins import all_sections
from reports.error_tables import _link, errors_markdown, worst_queries
from reports.predictions_table import load_predictions_table
from tests.reports.test_predictions_table import save


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
