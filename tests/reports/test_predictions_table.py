from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commons.errors import PlacewiseError
from reports import predictions_table
from reports.predictions_table import SCHEMA, load_predictions_table, save_predictions_table, similarity_margins


def places(folder: str, count: int) -> SimpleNamespace:
    return SimpleNamespace(
        folder=Path(folder),
        names=pa.array([f"{number}.jpg" for number in range(count)]),
        utm_east=np.arange(count, dtype=float),
        utm_north=np.zeros(count),
        heading=np.array([np.nan, *range(1, count)]),
        timestamp=pa.array(["202001"] * count),
    )


def save(file: Path, labelled: bool = True, **options: np.ndarray) -> None:
    """Three queries, 13 database images, 12 predictions each; right within 25 m: none, the second, the first."""
    distances = np.full((3, 12), 90.0)
    distances[1, 1:], distances[2] = 25.0, 3.0
    from_first = np.full((3, 12), 50.0)
    from_first[:, 0] = 0
    save_predictions_table(
        file,
        {"test_set": "x/test", "threshold": 25.0},
        queries=places("/q", 3),
        database=places("/d", 13),
        predictions=np.tile(np.arange(12, 0, -1), (3, 1)),
        similarities=np.tile(np.linspace(0.9, 0.35, 12, dtype=np.float32), (3, 1)),
        distances=distances if labelled else None,
        from_first=from_first,
        nearest=(np.array([np.inf, 4, 5]), np.array([-1, 0, 7]), np.array([np.nan, 30, 0])) if labelled else None,
        **options,
    )


@pytest.mark.parametrize("chunk", [2, 100])
def test_round_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int):
    monkeypatch.setattr(predictions_table, "CHUNK", chunk)
    save(tmp_path / "predictions.parquet")
    table, about = load_predictions_table(tmp_path / "predictions.parquet")
    assert about == {"test_set": "x/test", "threshold": 25.0, "queries_folder": "/q", "database_folder": "/d"}
    rows = table.to_pylist()
    assert [row["query"] for row in rows] == ["0.jpg", "1.jpg", "2.jpg"]
    assert [row["first_right"] for row in rows] == [None, 2, 1]
    assert [row["nearest"] for row in rows] == [None, "0.jpg", "7.jpg"]
    assert [row["nearest_distance"] for row in rows] == [None, 4, 5]
    assert [row["nearest_turn"] for row in rows] == [None, 30, 0]
    assert [row["heading"] for row in rows] == [None, 1, 2]
    assert rows[1]["predictions"] == [f"{number}.jpg" for number in range(12, 2, -1)]
    assert rows[1]["distances"] == [90, *[25] * 9]
    assert rows[1]["similarities"] == pytest.approx(np.linspace(0.9, 0.45, 10))
    assert [row["margin"] for row in rows] == pytest.approx([0.05] * 3)


def test_without_labels(tmp_path: Path):
    save(tmp_path / "predictions.parquet", labelled=False)
    table, _ = load_predictions_table(tmp_path / "predictions.parquet")
    for name in ("first_right", "distances", "nearest", "nearest_distance", "nearest_turn"):
        assert table[name].null_count == 3
    assert table["predictions"][0][0].as_py() == "12.jpg"


def test_margin_is_to_the_first_prediction_elsewhere():
    similarities = np.array([[0.9, 0.8, 0.7, 0.5]] * 4)
    from_first = np.array(
        [
            [0, 25.0, 25.1, 99],  # the second lies at the threshold: the same place
            [0, 99, 1, 1],
            [0, 1, 1, 1],  # one place only: at least down to the last
            [np.inf, np.inf, np.inf, np.inf],  # no positions
        ]
    )
    assert similarity_margins(similarities, from_first, 25.0) == pytest.approx([0.2, 0.1, 0.4, 0.1])
    assert similarity_margins(np.array([[0.9]]), np.array([[0.0]]), 25.0).tolist() == [0]


def test_other_files_are_named(tmp_path: Path):
    (tmp_path / "predictions.parquet").write_text("no")
    with pytest.raises(PlacewiseError, match="predictions.parquet: not a table of predictions"):
        load_predictions_table(tmp_path / "predictions.parquet")
    table = pa.table({name: pa.nulls(0, kind) for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)})
    for kept in ("{", "{}"):
        pq.write_table(table.replace_schema_metadata({"placewise": kept}), tmp_path / "predictions.parquet")
        with pytest.raises(PlacewiseError, match="predictions.parquet: not a table of predictions"):
            load_predictions_table(tmp_path / "predictions.parquet")


@pytest.mark.parametrize("chunk", [2, 100])
def test_confidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int):
    """Inliers of the first prediction only are known for the second query."""
    monkeypatch.setattr(predictions_table, "CHUNK", chunk)
    inliers = np.array([[30, 20, 0], [5, -1, -1], [7, 7, 7]], np.int32)
    sue, probability = np.array([np.nan, 3, 0]), np.array([0.5, 0.25, 1])
    save(tmp_path / "predictions.parquet", inliers=inliers, sue=sue, probability=probability)
    table, _ = load_predictions_table(tmp_path / "predictions.parquet")
    assert table["inliers"].to_pylist() == [[30, 20, 0], [5, None, None], [7, 7, 7]]
    assert table["sue"].to_pylist() == [None, 3, 0]
    assert table["probability"].to_pylist() == [0.5, 0.25, 1]
    save(tmp_path / "predictions.parquet", inliers=np.tile(np.arange(12, dtype=np.int32), (3, 1)))
    table, _ = load_predictions_table(tmp_path / "predictions.parquet")
    assert table["inliers"][0].as_py() == [*range(10)]
    assert table["sue"].null_count == table["probability"].null_count == 3


def test_tables_of_earlier_versions_are_completed(tmp_path: Path):
    save(tmp_path / "predictions.parquet")
    table = pq.read_table(tmp_path / "predictions.parquet")
    pq.write_table(table.drop_columns(["inliers", "sue", "probability"]), tmp_path / "predictions.parquet")
    table, _ = load_predictions_table(tmp_path / "predictions.parquet")
    assert table.column_names == SCHEMA.names and table["inliers"].null_count == 3
    pq.write_table(table.drop_columns(["margin"]), tmp_path / "predictions.parquet")
    with pytest.raises(PlacewiseError, match="not a table of predictions"):
        load_predictions_table(tmp_path / "predictions.parquet")


def test_margin_of_reranked_predictions_is_to_the_most_similar_one_elsewhere():
    similarities = np.array([[0.6, 0.5, 0.9, 0.7], [0.6, 0.9, 0.5, 0.7]])
    from_first = np.array([[0, 99, 99, 5], [0, 1, 2, 3]])
    assert similarity_margins(similarities, from_first, 25.0) == pytest.approx([-0.3, 0.1])
