"""predictions.parquet: a network's predictions for each query of a test set. It is small and kept with every run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from commons.errors import PlacewiseError, first_line
from commons.files import atomic_path

FILE = "predictions.parquet"
KEPT = 10
CHUNK = 65_536
SCHEMA = pa.schema(
    {
        "query": pa.string(),
        "utm_east": pa.float64(),
        "utm_north": pa.float64(),
        "heading": pa.float32(),
        "timestamp": pa.string(),
        "predictions": pa.list_(pa.string()),
        "similarities": pa.list_(pa.float32()),
        "distances": pa.list_(pa.float32()),
        "first_right": pa.int32(),
        "margin": pa.float32(),
        "nearest": pa.string(),
        "nearest_distance": pa.float32(),
        "nearest_turn": pa.float32(),
        "inliers": pa.list_(pa.int32()),
        "sue": pa.float32(),
        "probability": pa.float32(),
    }
)
# Tables of earlier versions lack them.
ADDED = ("inliers", "sue", "probability")


class PlacesColumns(Protocol):
    """The columns of a table of places that this module reads."""

    folder: Path
    names: pa.Array
    utm_east: np.ndarray
    utm_north: np.ndarray
    heading: np.ndarray
    timestamp: pa.Array


def save_predictions_table(
    file: Path,
    about: Mapping[str, Any],
    queries: PlacesColumns,
    database: PlacesColumns,
    predictions: np.ndarray,
    similarities: np.ndarray,
    distances: np.ndarray | None,
    from_first: np.ndarray,
    nearest: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
    inliers: np.ndarray | None = None,
    sue: np.ndarray | None = None,
    probability: np.ndarray | None = None,
    correct: np.ndarray | None = None,
) -> None:
    """Writes a row for each query with its first KEPT predictions, in chunks, so that memory stays bounded.

    Args:
        file: the Parquet file.
        about: "test_set" and "threshold" (metres), stored as metadata of the file.
        queries, database: q and d places.
        predictions: rows of the database, best first, (q, k).
        similarities: cosines, (q, k).
        distances: metres to the query, (q, k); None without labels.
        from_first: metres from each prediction to the first one, (q, k); inf where unknown.
        nearest: metres (q,), row (q,) and difference of headings (q,) of the database image nearest to each query;
            None without labels. Where lists say what is right, it is one of the list, with unknown metres.
        inliers: matching local features of the first predictions, (q, K), negative where they were not counted; None
            without re-ranking.
        sue: spatial uncertainty in metres, (q,), NaN where unknown; None where it was not computed.
        probability: probability that the first prediction is right, (q,); None where nothing was calibrated.
        correct: whether each prediction is right, (q, k); None if its distance says so.
    """
    if correct is None and distances is not None:
        correct = distances <= about["threshold"]
    folders = {"queries_folder": str(queries.folder), "database_folder": str(database.folder)}
    schema = SCHEMA.with_metadata({"placewise": json.dumps(dict(about) | folders)})
    with atomic_path(file) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for start in range(0, max(len(predictions), 1), CHUNK):
            part = slice(start, start + CHUNK)
            columns = _query_columns(queries, part) | _predicted_columns(
                database,
                predictions[part],
                similarities[part],
                None if distances is None else distances[part],
                from_first[part],
                about["threshold"],
                None if correct is None else correct[part],
            )
            size = len(columns["query"])
            columns["inliers"] = pa.nulls(size, SCHEMA.field("inliers").type)
            if inliers is not None:
                counts = inliers[part, :KEPT]
                columns["inliers"] = _lists(pa.array(counts.ravel(), pa.int32(), mask=counts.ravel() < 0), size)
            for name, values in (("sue", sue), ("probability", probability)):
                columns[name] = pa.nulls(size, pa.float32()) if values is None else _numbers(values[part])
            columns |= _nearest_columns(database, nearest and tuple(values[part] for values in nearest), size)
            writer.write_table(pa.table(columns, schema=schema))


def find_tables(folder: Path) -> list[Path]:
    """Returns the files with the predictions of every test set of a run.

    Raises:
        PlacewiseError: if the folder is not that of a finished run, or has no predictions.
    """
    if not (folder / "results.json").is_file():
        raise PlacewiseError(f"{folder}: is not the folder of a finished run: it has no results.json")
    tables = [*folder.glob(FILE), *sorted(folder.glob(f"*/{FILE}"))]
    if not tables:
        raise PlacewiseError(
            f"{folder}: has no {FILE}: the run is of an older version or had no test set; evaluate its best_model.pth "
            "with eval.py"
        )
    return tables


def load_predictions_table(file: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Reads a table of `save_predictions_table`; returns it and its metadata.

    Raises:
        PlacewiseError: if the file is not such a table.
    """
    try:
        table = pq.read_table(file)
        if "predicted_latitude" in table.column_names:
            raise PlacewiseError(f"{file}: holds positions; this tool is for predictions of place recognition")
        for name in set(ADDED) - set(table.column_names):
            table = table.append_column(SCHEMA.field(name), pa.nulls(len(table), SCHEMA.field(name).type))
        about = json.loads(table.schema.metadata[b"placewise"])
        about["test_set"], about["threshold"], about["queries_folder"], about["database_folder"]  # raise if missing
        return table.select(SCHEMA.names).combine_chunks(), about
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise PlacewiseError(f"{file}: not a table of predictions ({first_line(error)})") from error


def similarity_margins(similarities: np.ndarray, from_first: np.ndarray, threshold: float) -> np.ndarray:
    """Returns how far the first prediction is above the best one of another place, in cosine similarity.

    Another place is more than `threshold` metres from the first prediction. Where all k predictions show one place, the
    margin is that to the last of them, a lower bound. After re-ranking it is negative where a prediction of another
    place is more similar than the first one.

    Args:
        similarities: (q, k), in descending order, or in that of re-ranking.
        from_first: metres from each prediction to the first one, (q, k).
        threshold: metres.

    Returns:
        (q,).
    """
    elsewhere = from_first > threshold
    elsewhere[:, 0] = False  # a first prediction without a position is infinitely far from itself
    rivals = np.where(elsewhere, similarities, -np.inf).max(axis=1)
    return similarities[:, 0] - np.where(elsewhere.any(axis=1), rivals, similarities.min(axis=1))


def _query_columns(queries: PlacesColumns, part: slice) -> dict[str, Any]:
    return {
        "query": queries.names[part],
        "utm_east": queries.utm_east[part],
        "utm_north": queries.utm_north[part],
        "heading": _numbers(queries.heading[part]),
        "timestamp": queries.timestamp[part],
    }


def _predicted_columns(
    database: PlacesColumns,
    predictions: np.ndarray,
    similarities: np.ndarray,
    distances: np.ndarray | None,
    from_first: np.ndarray,
    threshold: float,
    right: np.ndarray | None,
) -> dict[str, Any]:
    size = len(predictions)
    columns = {
        "predictions": _lists(database.names.take(pa.array(predictions[:, :KEPT].ravel())), size),
        "similarities": _lists(pa.array(similarities[:, :KEPT].ravel(), pa.float32()), size),
        "distances": pa.nulls(size, SCHEMA.field("distances").type),
        "first_right": pa.nulls(size, pa.int32()),
        "margin": similarity_margins(similarities, from_first, threshold).astype(np.float32),
    }
    if distances is not None:
        columns["distances"] = _lists(pa.array(distances[:, :KEPT].ravel().astype(np.float32)), size)
    if right is not None:
        columns["first_right"] = pa.array(right.argmax(axis=1).astype(np.int32) + 1, mask=~right.any(axis=1))
    return columns


def _nearest_columns(database: PlacesColumns, nearest: tuple | None, size: int) -> dict[str, Any]:
    names = ("nearest", "nearest_distance", "nearest_turn")
    if nearest is None:
        return {name: pa.nulls(size, SCHEMA.field(name).type) for name in names}
    metres, rows, turn = nearest
    found = database.names.take(pa.array(rows, mask=rows < 0))
    return dict(zip(names, (found, _numbers(metres), _numbers(turn)), strict=True))


def _lists(values: pa.Array, size: int) -> pa.Array:
    """Returns q * k values as q lists of k."""
    each = len(values) // max(size, 1)
    return pa.ListArray.from_arrays(pa.array(np.arange(size + 1, dtype=np.int32) * each), values)


def _numbers(values: np.ndarray) -> pa.Array:
    """Returns float32 numbers, null where they are unknown."""
    return pa.array(values.astype(np.float32), mask=~np.isfinite(values))
