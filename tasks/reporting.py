"""Parts of reports that tasks share: results of all sets, and the folder and the predictions of each."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from commons.files import atomic_path
from datasets.layouts import slug


class Evaluated(Protocol):
    """An evaluation with a row for each prediction."""

    results: dict[str, Any]
    table: pa.Table


def all_results(
    evaluations: Mapping[str, Any], earlier: Mapping[str, dict] | None, records: Mapping[str, dict] | None
) -> dict[str, dict[str, Any]]:
    """Returns the results to report by name; arguments as for `Task.report`."""
    results = dict(earlier or {}) | {name: own.results for name, own in evaluations.items()}
    return {name: values | (records or {}).get(name, {}) for name, values in results.items()}


def set_folder(folder: Path, name: str, sets: Collection[str]) -> Path:
    """Returns the folder for files about one of the test sets of a run: that of the run if there is only one."""
    return folder if len(sets) == 1 else folder / slug(name)


def save_tables(evaluations: Mapping[str, Evaluated], folder: Path) -> dict[str, Path]:
    """Writes predictions.parquet of each test set, and returns their folders by name."""
    targets = {name: set_folder(folder, name, evaluations) for name in evaluations}
    for name, target in targets.items():
        target.mkdir(parents=True, exist_ok=True)
        with atomic_path(target / "predictions.parquet") as temporary:
            pq.write_table(evaluations[name].table, temporary)
    return targets
