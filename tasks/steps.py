"""The steps of an evaluation one after the other, with the gain and the cost of each."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch

from metrics.recall import recalls_of
from model.test_time import Ensemble
from retrieval.expansion import augment_database, expand_queries
from retrieval.table import DescriptorTable
from tasks.extraction import make_table
from tasks.measuring import Evaluation
from tasks.test_time import TestTime, fit_to_table

Described = Iterable[tuple[np.ndarray, np.ndarray]]
Row = dict[str, str | float | None]


class Steps:
    """Describes, then does what is to be done at test time, and measures after each step.

    Attributes:
        database, queries: descriptors after the last step; None but on the main process.
        evaluation: of the last step; None but on the main process.
        rows: a dict for each step: "step" (its name), recalls, "gain R@N" in points, "describing_seconds",
            "fitting_seconds" (what comes between describing and searching), "searching_seconds" (the building of the
            index included), "bytes_a_descriptor" and "table_bytes" of the database. None is for what does not apply.
    """

    def __init__(
        self,
        test_time: TestTime,
        describe: Callable[[torch.nn.Module, str], DescriptorTable | None],
        measure: Callable[[DescriptorTable, DescriptorTable], Evaluation],
        index: str = "flat",
        folder: Path | None = None,
        pca_file: Path | None = None,
    ) -> None:
        """Args:
        test_time: what to do.
        describe: describes the "database" or the "queries" with a network; all processes call it together.
        measure: searches queries in a database; only the main process calls it.
        index: how to search. All but "flat" keep the database's descriptors on disk, in float16.
        folder: where they lie until the end.
        pca_file: where a PCA that is fitted to the database is written; None for nowhere.
        """
        self.test_time, self.describe, self.measure = test_time, describe, measure
        self.index, self.folder, self.pca_file = index, folder, pca_file
        self.database: DescriptorTable | None = None
        self.queries: DescriptorTable | None = None
        self.evaluation: Evaluation | None = None
        self.rows: list[Row] = []

    def take(self, network: torch.nn.Module) -> None:
        """Takes all steps; every process must call it."""
        what = self.test_time
        database_network, query_network = what.networks(network)
        first = "plain"
        seconds = self._describe(network, network)
        if isinstance(network, Ensemble):
            first = f"ensemble of {len(network.members)}"
            self._record_members(network)
        self._record(first, describing=seconds)
        if what.scales:
            seconds = self._describe(database_network, database_network)
            self._record(f"+ multi-scale {','.join(f'{scale:g}' for scale in what.scales)}", describing=seconds)
        if what.crops:
            self._record("+ five crops of queries", describing=self._describe(None, query_network))
        if self.database is not None:
            self._change_descriptors()

    def _describe(self, database: torch.nn.Module | None, queries: torch.nn.Module) -> float:
        """Describes the database, if there is a network for it, and the queries; returns seconds."""
        started = time.monotonic()
        if database is not None:
            self.database = None  # makes room
            self.database = self.describe(database, "database")
        self.queries = self.describe(queries, "queries")
        return time.monotonic() - started

    def _change_descriptors(self) -> None:
        what = self.test_time
        changes = [
            (what.pca_dim, f"PCA {what.pca_dim}" + _whitening(what.whiten), self._reduce),
            (what.database_augmentation, f"database augmentation {what.database_augmentation}", self._augment),
            (what.query_expansion, f"query expansion {what.query_expansion}", self._expand),
        ]
        for wanted, name, change in changes:
            if wanted:
                started = time.monotonic()
                change()
                self._record(f"+ {name}", fitting=time.monotonic() - started)

    def _reduce(self) -> None:
        dim, whiten = self.test_time.pca_dim, self.test_time.whiten
        pca = self.test_time.pca or fit_to_table(self.database, dim, self.pca_file)
        self.database = self._filled(self.database, pca.project_table(self.database, whiten), dim, self.index != "flat")
        self.queries = self._filled(self.queries, pca.project_table(self.queries, whiten), dim)

    def _augment(self) -> None:
        count, alpha = self.test_time.database_augmentation, self.test_time.alpha
        augmented = augment_database(self.database, count, alpha, self.index)
        self.database = self._filled(self.database, augmented, self.database.dim, self.index != "flat")

    def _expand(self) -> None:
        count, alpha = self.test_time.query_expansion, self.test_time.alpha
        expanded = expand_queries(self.queries, self.database, count, alpha, self.index)
        self.queries = self._filled(self.queries, expanded, self.queries.dim)

    def _filled(self, like: DescriptorTable, described: Described, dim: int, on_disk: bool = False) -> DescriptorTable:
        table = make_table(len(like), dim, on_disk, self.folder)
        table.add(described)
        return table

    def _record_members(self, network: Ensemble) -> None:
        """Measures each member by its part of the ensemble's descriptors."""
        if self.database is None:
            return
        for number, (start, stop) in enumerate(network.parts(), 1):
            database, queries = self.database.part(start, stop), self.queries.part(start, stop)
            # Parts have length 1 / sqrt(members): longer queries make the products cosines.
            longer = self._filled(queries, [(queries.rows, len(network.members) * queries.vectors)], queries.dim)
            evaluation = self.measure(database, longer)
            self.rows.append(_row(f"model {number} alone", evaluation, database, {}, None, None))

    def _record(self, name: str, describing: float | None = None, fitting: float | None = None) -> None:
        """Measures, and adds a row whose gain is over the step before, or over the best member of an ensemble."""
        if self.database is None:
            return
        first = self.evaluation is None
        before = max(self.rows, key=lambda row: row.get("R@1", 0), default={}) if first else self.rows[-1]
        self.evaluation = self.measure(self.database, self.queries)
        self.rows.append(_row(name, self.evaluation, self.database, before, describing, fitting))


def _whitening(whiten: str) -> str:
    return "" if whiten == "none" else f", {whiten} whitening"


def _row(
    name: str,
    evaluation: Evaluation,
    database: DescriptorTable,
    before: Row,
    describing: float | None,
    fitting: float | None,
) -> Row:
    recalls = recalls_of(evaluation.results)
    size = database.dim * database.vectors.itemsize
    return (
        {"step": name}
        | recalls
        | {f"gain {key}": value - before[key] if key in before else None for key, value in recalls.items()}
        | {"describing_seconds": describing, "fitting_seconds": fitting, "searching_seconds": evaluation.seconds}
        | {"bytes_a_descriptor": size, "table_bytes": size * len(database)}
    )
