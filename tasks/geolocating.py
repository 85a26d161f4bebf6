"""From answers to the figures and the table of predictions of a test set of geolocation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from cells.partition import Partition
from commons.sphere import to_degrees
from metrics.geodesic import (
    bootstrap_intervals,
    cell_accuracies,
    distances_km,
    geodesic_metrics,
    label_accuracies,
    oracle_distances,
)
from tasks.cell_answers import Answered
from tasks.photo_sets import PhotoSet
from tasks.references import predicted_labels


@dataclass(frozen=True)
class GeoSet(PhotoSet):
    """Photos to locate.

    Attributes:
        labels: known labels, str (n,) by kind.
    """

    labels: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Located:
    """The evaluation of a network on a test set.

    Attributes:
        images: the photos.
        results: figures by name, as in results.json.
        table: a row for each photo, as in predictions.parquet.
        seconds: seconds that the network took for all photos.
    """

    images: Any
    results: dict[str, Any]
    table: pa.Table
    seconds: float


@dataclass(frozen=True)
class Measure:
    """How answers are measured.

    Attributes:
        partition: the cells of the network.
        references: positions with labels, which answers take their labels from; None for none.
        answer: the main way to answer.
        radii: kilometres.
        earth: one of metrics.geodesic.EARTHS.
    """

    partition: Partition
    references: pa.Table | None
    answer: str
    radii: Sequence[float]
    earth: str

    def figures(self, test_set: GeoSet, rows: np.ndarray, answered: Answered, seconds: float) -> Located:
        """Returns the figures of all ways to answer, and the predictions of the main one.

        Args:
            test_set: the photos.
            rows: photos that have been answered, int64 (n,); others cannot be decoded.
            answered: answers for them.
            seconds: seconds that the network took.
        """
        positions = {name: self._everywhere(test_set, rows, points) for name, points in answered.points.items()}
        known = test_set.images.located
        truth = np.where(known, test_set.images.latitude, np.nan), np.where(known, test_set.images.longitude, np.nan)
        distances = {name: distances_km(*own, *truth, earth=self.earth) for name, own in positions.items()}
        cells = self.partition.assign(*truth)[:, -1]
        ranked = np.full((len(known), answered.cells.shape[1]), -1)
        ranked[rows] = answered.cells.numpy()
        own = {name: geodesic_metrics(errors[known], self.radii) for name, errors in distances.items()}
        results: dict[str, Any] = dict(own[self.answer])
        results |= cell_accuracies(ranked[known], cells[known])
        results |= self._labels(test_set, positions[self.answer])
        point = self.partition.finest.point
        results["photos"], results["answer"] = int(known.sum()), self.answer
        results["in no cell"] = int((cells[known] < 0).sum())
        if known.any():
            oracle = oracle_distances(*(column[known] for column in truth), cells[known], *point)
            results["oracle"] = geodesic_metrics(oracle, self.radii)
            results["intervals"] = bootstrap_intervals(distances[self.answer][known], self.radii)
        results["answers"] = own
        results["skipped_photos"] = len(known) - len(rows)
        table = self._table(test_set, rows, answered, positions, distances, cells)
        return Located(test_set.images, results, table, seconds)

    def _everywhere(self, test_set: GeoSet, rows: np.ndarray, points: Any) -> tuple[np.ndarray, np.ndarray]:
        """Returns the positions of answers in degrees, NaN for photos without an answer."""
        found = np.full((2, len(test_set.images)), np.nan)
        found[:, rows] = to_degrees(points.numpy().astype(np.float64))
        return tuple(found)

    def _labels(self, test_set: GeoSet, position: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
        if self.references is None:
            return {}
        found = label_accuracies(predicted_labels(self.references, *position), test_set.labels)
        return {f"{kind.replace('_', '-')} %": share for kind, (share, count) in found.items() if count}

    def _table(
        self,
        test_set: GeoSet,
        rows: np.ndarray,
        answered: Answered,
        positions: Mapping[str, tuple[np.ndarray, np.ndarray]],
        distances: Mapping[str, np.ndarray],
        cells: np.ndarray,
    ) -> pa.Table:
        count, top = len(cells), answered.cells.shape[1]
        latitude, longitude = positions[self.answer]
        predicted, probability = np.full(count, -1, np.int32), np.full(count, np.nan, np.float32)
        predicted[rows] = answered.point_cells[self.answer].numpy()
        best, shares = np.full((count, top), -1, np.int32), np.full((count, top), np.nan, np.float32)
        best[rows], shares[rows] = answered.cells.numpy(), answered.probabilities.numpy()
        chosen = (best == predicted[:, None]) & (predicted >= 0)[:, None]
        probability[chosen.any(axis=1)] = shares[chosen]
        images = test_set.images
        columns = {
            "path": pa.array(images.names.to_pylist(), pa.string()),
            "latitude": images.latitude, "longitude": images.longitude,
            "predicted_latitude": latitude, "predicted_longitude": longitude,
            "error_km": distances[self.answer],
            **{f"error_km_{name}": own for name, own in distances.items() if name != self.answer},
            "cell": cells.astype(np.int32), "predicted_cell": predicted, "probability": probability,
            "top_cells": _lists(best), "top_probabilities": _lists(shares),
        }  # fmt: skip
        return pa.table(columns | {kind: pa.array(own, pa.string()) for kind, own in test_set.labels.items()})


def _lists(rows: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1]).cast(
        pa.list_(pa.from_numpy_dtype(rows.dtype))
    )
