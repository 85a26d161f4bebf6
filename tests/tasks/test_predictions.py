from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from commons.files import write_text
from datasets.places import make_places
from datasets.positives import from_lists
from reports.predictions_table import load_predictions_table
from tasks.measuring import Evaluation
from tasks.predictions import keep_predictions, query_results
from tools.errors import report_errors


@pytest.fixture
def evaluation() -> Evaluation:
    """Three queries whose correct images stand in lists: the first is right at rank 2, the second right, the third
    has none."""
    database, queries = (
        make_places(Path(folder), pa.array([f"{number}.jpg" for number in range(count)]))
        for folder, count in (("d", 4), ("q", 3))
    )
    positives = from_lists([[1, 3], [0], []], 4, "gt.npy")
    predictions = np.array([[2, 3, 0, 1], [0, 1, 2, 3], [1, 0, 2, 2]])
    similarities = np.array([[0.9, 0.8, 0.2, 0.1], [0.7, 0.2, 0.1, 0.0], [0.5, 0.4, 0.3, 0.3]], np.float32)
    return Evaluation({}, database, queries, predictions, similarities, None, 25.0, 0.0, positives=positives)


def test_sheets_of_a_set_without_metres(evaluation: Evaluation):
    first, second, third = query_results(evaluation, 4)
    assert [match.correct for match in first.matches] == [False, True, False, True]
    assert {match.distance for match in first.matches} == {None}
    assert first.nearest_positive.path == Path("d/1.jpg") and first.nearest_positive.distance is None
    assert first.positives == [Path("d/1.jpg"), Path("d/3.jpg")]
    assert second.nearest_positive is None and third.nearest_positive is None
    assert [match.path.name for match in third.matches] == ["1.jpg", "0.jpg", "2.jpg"]  # a repeated one once
    assert third.positives == []


def test_the_table_and_the_report_of_errors(evaluation: Evaluation, tmp_path: Path):
    keep_predictions(evaluation, "bench", tmp_path / "predictions.parquet")
    table, _ = load_predictions_table(tmp_path / "predictions.parquet")
    assert table["first_right"].to_pylist() == [2, 1, None]
    assert table["nearest"].to_pylist() == ["1.jpg", "0.jpg", None]
    assert table["distances"].null_count == table["nearest_distance"].null_count == 3
    assert table["margin"].to_pylist() == pytest.approx([0.1, 0.5, 0.1])
    write_text(tmp_path / "results.json", "{}")
    text = report_errors(tmp_path / "predictions.parquet", tmp_path, 10)
    assert "| all queries | 3 | 1 | 33.3 |" in text
    worst = text.partition("The most confident wrong answers")[2]
    assert "0.jpg" in worst and "rank 2" in worst
    assert "Queries without a right image in the database are not listed: 1." in worst
