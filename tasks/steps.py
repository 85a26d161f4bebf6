"""The steps of an evaluation one after the other, with the gain and the cost of each."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from datasets.decoding import ImageFiles
from datasets.test_dataset import Groups, TestSet
from metrics import RECALL_VALUES
from metrics.recall import recalls_of
from model.test_time import CROPS, Ensemble
from retrieval.engine import Engine
from retrieval.expansion import augment_database, expand_queries
from retrieval.table import DescriptorTable
from tasks.extraction import Extractor, make_stored, make_table
from tasks.measuring import Evaluation, measure, parts_of
from tasks.sequences import find_sequence_truth, sequence_tables
from tasks.test_time import STEPS, VOTES, TestTime, fit_to_table, for_images
from tasks.truth import Truth, find_truth

Extracted = Iterable[tuple[np.ndarray, np.ndarray]]
Row = dict[str, str | float | None]


class Steps:
    """Extracts descriptors, then does what is to be done at test time, and measures after each step.

    Attributes:
        database, queries: descriptors after the last step; None except on the main process.
        evaluation: evaluation of the last step; None except on the main process.
        rows: a dict for each step: "step" (its name), recalls, "gain R@N" in points, "describing_seconds" (of reading
            images and extracting descriptors), "fitting_seconds" (of what comes between that and the search),
            "searching_seconds" (with the building of the index), "bytes_a_descriptor" and "table_bytes" of the
            database. None stands for what does not apply. Re-ranking adds "ceiling", the R@1 that it cannot exceed,
            "ceiling_of", how many predictions it orders, and "seconds_a_query", all of its time.
        reranking: what results.json says of the last re-ranking; None without it.
        sequences: what results.json says of the sequences; None for single images.
    """

    def __init__(
        self,
        test_set: TestSet,
        extractor: Extractor,
        test_time: TestTime,
        threshold: float | Sequence[float] = 25.0,
        predictions: int = 0,
        index: Engine | str = "flat",
        folder: Path | None = None,
        pca_file: Path | None = None,
        sources: Mapping[str, ImageFiles] | None = None,
        recall_values: Sequence[int] = RECALL_VALUES,
        databases: list[DescriptorTable | None] | None = None,
    ) -> None:
        """Args:
        test_set: database and queries.
        extractor: extracts the descriptors.
        test_time: what to do.
        threshold: metres within which a prediction is correct; of several, the first is the main one.
        predictions: how many predictions per query to keep, at least the largest N of recall@N.
        index: how to search. All but "flat" keep the descriptors of the database on disk, in float16.
        folder: where they lie until the end; None for the system's temporary folder.
        pca_file: where a PCA that is fitted to the database is written; None for nowhere.
        sources: cached images of the "database" and the "queries"; None to read files.
        recall_values: the N of recall@N.
        databases: descriptors of the database that a test set with the same one has extracted, in the order of the
            steps; an empty list keeps them for the next one, None keeps nothing.
        """
        self.recall_values, self.databases, self.turn = tuple(recall_values), databases, 0
        self.test_set, self.extractor, self.test_time = test_set, extractor, test_time
        self.cropping, self.crops = False, 1  # whether queries are cropped, and how many descriptors they have
        self.threshold, self.count, self.index = threshold, max(predictions, *recall_values), Engine.of(index)
        self.folder, self.pca_file, self.sources = folder, pca_file, sources or {}
        self.database: DescriptorTable | None = None
        self.queries: DescriptorTable | None = None
        self.evaluation: Evaluation | None = None
        self.rows: list[Row] = []
        self.reranking: dict | None = None
        self.sequences: dict | None = None

    def extract(self, network: torch.nn.Module, what: str) -> DescriptorTable | None:
        """Returns the descriptors of the "database" or the "queries" on the main process; all processes call it."""
        on_disk = self.index.on_disk and what == "database"
        if what == "database" and self.databases is not None:
            self.turn += 1
            if self.turn <= len(self.databases):
                return self.databases[self.turn - 1]
        places, heading = getattr(self.test_set, what), f"{self.test_set.name} {what}"
        extractor, source = self.extractor, self.sources.get(what)
        if what == "queries" and self.cropping:
            size = self.test_time.query_size(extractor.shorter_side)
            source = source if size == extractor.shorter_side else None
            extractor = replace(extractor, shorter_side=size)
        table = extractor.table(network, places, heading, source, on_disk, self.folder)
        if what == "database" and self.databases is not None:
            self.databases.append(table)
        return table

    @cached_property
    def truth(self) -> Truth:
        """Where the images were taken that could be decoded; they are the same in every step."""
        return find_truth(self.test_set, self.database, self.queries, self.threshold, self.recall_values)

    def measure(self, database: DescriptorTable, queries: DescriptorTable) -> Evaluation:
        """Searches the queries in the database and compares positions; only the main process calls it."""
        if self.crops == 1:
            return measure(self.truth, database, queries, self.count, self.index)
        how = self._parts(queries), VOTES[self.test_time.method]
        return measure(self.truth, database, queries, self.count, self.index, *how)

    def _parts(self, queries: DescriptorTable) -> list[DescriptorTable]:
        """Returns the descriptors of each crop."""
        dim = queries.dim // self.crops
        return [queries.part(start, start + dim) for start in range(0, queries.dim, dim)]

    def take(self, network: torch.nn.Module) -> None:
        """Takes all steps; every process must call it."""
        if self.test_time.method == "central_crop":
            size = self.extractor.shorter_side
            self.test_time = for_images(self.test_time, self.test_set.database, size)
        what = self.test_time
        database_network, query_network = what.networks(network)
        all_frames = getattr(self.test_set, "middles", None) is not None
        first = "plain, all frames as single images" if all_frames else "plain"
        seconds = self._extract_both(network, network)
        if isinstance(network, Ensemble):
            first = f"ensemble of {len(network.members)}"
            self._record_members(network)
        self._record(first, seconds=seconds)
        if what.scales:
            seconds = self._extract_both(database_network, database_network)
            self._record(f"+ multi-scale {','.join(f'{scale:g}' for scale in what.scales)}", seconds=seconds)
        if what.method:
            self.cropping = True
            seconds = self._extract_both(None, query_network)
            self.crops = CROPS if what.method in VOTES else 1
            self._record(f"+ {STEPS[what.method]}", seconds=seconds)
        if self.database is not None:
            self._change_descriptors()
            self._join_frames()
            self._rerank()

    def _extract_both(self, database: torch.nn.Module | None, queries: torch.nn.Module) -> float:
        """Extracts the descriptors of the queries, and of the database if it has a network; returns seconds."""
        started = time.monotonic()
        if database is not None:
            self.database = None  # makes room
            self.database = self.extract(database, "database")
        self.queries = self.extract(queries, "queries")
        return time.monotonic() - started

    def _change_descriptors(self) -> None:
        for name, change in self._changes():
            started = time.monotonic()
            change()
            self._record(f"+ {name}", fitting=time.monotonic() - started)

    def _changes(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yields the changes of descriptors; what is stored already is known when it is asked for the next one."""
        what = self.test_time
        if what.pca_dim:
            yield f"PCA {what.pca_dim}" + _whitening(what.whiten), self._reduce
        if what.database_augmentation:
            yield f"database augmentation {what.database_augmentation}", self._augment
        if what.descriptor_type not in ("", self.database.kind):
            yield f"database in {what.descriptor_type}", self._store
        if what.query_expansion:
            yield f"query expansion {what.query_expansion}", self._expand

    def _reduce(self) -> None:
        dim, whiten = self.test_time.pca_dim, self.test_time.whiten
        pca = self.test_time.pca or fit_to_table(self.database, dim, self.pca_file)
        self.database = self._filled(self.database, pca.project_table(self.database, whiten), dim, self.index.on_disk)
        self._change_queries(lambda queries: pca.project_table(queries, whiten), dim)

    def _change_queries(self, change: Callable[[DescriptorTable], Extracted], dim: int) -> None:
        """Replaces the queries' descriptors, those of each crop, by others of `dim` dimensions."""
        changed = [self._filled(part, change(part), dim) for part in self._parts(self.queries)]
        if len(changed) > 1:
            together = np.concatenate([part.descriptors() for part in changed], axis=1)
            rows = np.sort(changed[0].rows)
            changed = [self._filled(changed[0], [(rows, together)], dim * self.crops)]
        (self.queries,) = changed

    def _augment(self) -> None:
        count, alpha = self.test_time.database_augmentation, self.test_time.alpha
        parts = parts_of(self.groups, self.database, self.queries)
        augmented = chain.from_iterable(augment_database(base, count, alpha, self.index) for base, _ in parts)
        self.database = self._filled(self.database, augmented, self.database.dim, self.index.on_disk)

    def _store(self) -> None:
        self.database = make_stored(self.database, self.test_time.descriptor_type, self.index.on_disk, self.folder)

    def _expand(self) -> None:
        count, alpha = self.test_time.query_expansion, self.test_time.alpha

        def expand(queries: DescriptorTable) -> Extracted:
            parts = parts_of(self.groups, self.database, queries)
            return chain.from_iterable(expand_queries(own, base, count, alpha, self.index) for base, own in parts)

        self._change_queries(expand, self.database.dim)

    def _join_frames(self) -> None:
        """Searches sequences instead of single images."""
        chosen = self.test_time.sequences
        if chosen is None:
            return
        started = time.monotonic()
        thresholds = list(dict.fromkeys(np.atleast_1d(self.threshold).astype(float).tolist()))
        both = self.database, self.queries
        truth = find_sequence_truth(chosen, self.test_set, *both, thresholds, self.truth.recall_values)
        storage = {"on_disk": self.index.on_disk, "folder": self.folder}
        *tables, find = sequence_tables(chosen, truth.sequences, *both, self.count, **storage)
        fitting, before = time.monotonic() - started, self.rows[-1]
        self.evaluation = measure(truth, *tables, self.count, self.index, find=find)
        self.sequences = chosen.record(self.evaluation)
        described = tables[0] if find is None else self.database
        self.rows.append(_row(f"+ {chosen}", self.evaluation, described, before, None, fitting))

    def _rerank(self) -> None:
        """Orders the first predictions anew; a gate that is fitted adds a second step, instead of the first one."""
        reranker = self.test_time.reranker
        before = self.rows[-1]
        for step in [] if reranker is None else reranker.take(self.evaluation):
            self.evaluation, self.reranking = step.evaluation, step.record
            row = _row(step.name, step.evaluation, self.database, before, step.extracting, step.matching)
            row |= {"searching_seconds": None, "ceiling": step.ceiling, "ceiling_of": step.record["top"]}
            if step.matching is not None:
                row["seconds_a_query"] = (step.extracting + step.matching) / max(len(self.queries), 1)
            self.rows.append(row)

    @property
    def groups(self) -> Groups | None:
        """Parts of the test set that are searched each on its own."""
        return getattr(self.test_set, "groups", None)

    def _filled(self, like: DescriptorTable, extracted: Extracted, dim: int, on_disk: bool = False) -> DescriptorTable:
        table = make_table(len(like), dim, on_disk, self.folder)
        table.add(extracted)
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

    def _record(self, name: str, seconds: float | None = None, fitting: float | None = None) -> None:
        """Measures, and adds a row whose gain is over the step before, or over the best member of an ensemble."""
        if self.database is None:
            return
        first = self.evaluation is None
        before = max(self.rows, key=lambda row: row.get("R@1", 0), default={}) if first else self.rows[-1]
        self.evaluation = self.measure(self.database, self.queries)
        self.rows.append(_row(name, self.evaluation, self.database, before, seconds, fitting))


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
    size = database.bytes_a_descriptor
    return (
        {"step": name}
        | recalls
        | {f"gain {key}": value - before[key] if key in before else None for key, value in recalls.items()}
        | {"describing_seconds": describing, "fitting_seconds": fitting, "searching_seconds": evaluation.seconds}
        | {"bytes_a_descriptor": size, "table_bytes": size * len(database)}
    )
