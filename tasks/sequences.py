"""Sequences instead of single images: which frames belong together, what is correct, and the search."""

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from commons.errors import ArgumentError
from datasets.distances import pair_distances
from datasets.sequence_distances import SequencePair
from datasets.sequences import Windows, cut_windows, frames_of, single_images
from datasets.test_dataset import Groups, TestSet
from metrics import RECALL_VALUES
from metrics.recall import recalls, recalls_of
from retrieval.sequences import FrameTable, line_offsets, match_lines, mean_descriptors
from retrieval.table import DescriptorTable
from tasks.extraction import make_table
from tasks.measuring import Evaluation, Find
from tasks.truth import Truth, nearest_in_parts

SIDES = ("database", "queries")


@dataclass(frozen=True)
class SequenceSearch:
    """How sequences are searched.

    Attributes:
        length: frames of a sequence, N.
        mode: "seq2seq", "im2seq" (queries are single images) or "seq2im" (the database is single images).
        method: "mean" or "seqmatch" (retrieval.sequences).
        velocity: lowest and highest velocity of seqmatch.
    """

    length: int
    mode: str = "seq2seq"
    method: str = "mean"
    velocity: tuple[float, float] = (0.8, 1.2)

    @property
    def single(self) -> str | None:
        """Which of SIDES are single images; None for neither."""
        return {"im2seq": "queries", "seq2im": "database"}.get(self.mode)

    @property
    def lines(self) -> np.ndarray:
        """Lines of seqmatch, (lines, N)."""
        return line_offsets(self.length, (self.length - 1) // 2, *self.velocity)

    def windows(self, test_set: TestSet, rows: dict[str, np.ndarray]) -> dict[str, Windows]:
        """Returns the windows of both sides.

        Args:
            test_set: database and queries.
            rows: rows of the images that are there, ascending, by side.

        Raises:
            ArgumentError: if a side that must have sequences has none.
        """
        return {side: self._windows(test_set, side, rows[side]) for side in SIDES}

    def _windows(self, test_set: TestSet, side: str, rows: np.ndarray) -> Windows:
        name = f"{test_set.name}: {'database images' if side == 'database' else side}"
        if side == self.single:
            windows = single_images(rows)
        else:
            windows = cut_windows(frames_of(getattr(test_set, side)), self.length, rows, name)
        if test_set.middles is not None:
            windows = windows.take(np.flatnonzero(getattr(test_set.middles, side)[windows.middle]))
        if not len(windows):
            raise ArgumentError("sequence_length", f"{self.length}: {name} has no sequence of this length; lower it")
        return windows

    def record(self, found: Evaluation) -> dict[str, Any]:
        """Returns what results.json says of an evaluation.

        "middle_frames" has the recalls of a stricter rule, which is that of single images: the middle frames of query
        and prediction must be within the threshold of each other.
        """
        truth, pair = found.truth, found.sequences
        sides = {"database": pair.database_windows, "queries": pair.query_windows}
        own: dict[str, Any] = {"length": self.length, "mode": self.mode, "method": self.method}
        if self.method == "seqmatch":
            own |= {"velocity": list(self.velocity), "lines": len(self.lines)}
        for what in ("gaps", "left_out"):
            own[what] = {side: getattr(windows, what) for side, windows in sides.items()}
        if found.distances is not None:
            apart = pair_distances(found.queries, found.database, found.predictions)
            own["middle_frames"] = recalls_of(recalls(apart <= truth.threshold, truth.answerable, truth.recall_values))
        return own

    def __str__(self) -> str:
        how = f", velocity {self.velocity[0]:g} to {self.velocity[1]:g}" if self.method == "seqmatch" else ""
        return f"sequences of {self.length}, {self.mode} by {self.method}{how}"


def make_sequences(settings: Any) -> SequenceSearch | None:
    """Builds the search from the section `sequences` of the settings of eval.py; None for single images."""
    if settings.sequence_length == 1:
        return None
    velocity = tuple(settings.sequence_velocity)
    return SequenceSearch(settings.sequence_length, settings.sequence_mode, settings.sequence_method, velocity)


def check_sequences(chosen: SequenceSearch, test_set: TestSet) -> None:
    """Raises ArgumentError if a test set has no such sequences; looks at names and tables only."""
    chosen.windows(test_set, {side: np.arange(len(getattr(test_set, side))) for side in SIDES})


def find_sequence_truth(
    chosen: SequenceSearch,
    test_set: TestSet,
    database: DescriptorTable,
    queries: DescriptorTable,
    thresholds: list[float],
    recall_values: tuple[int, ...] = RECALL_VALUES,
) -> Truth:
    """Finds the sequences of the images that were described, and which of the queries can be answered.

    Args:
        chosen: how sequences are searched.
        test_set: database and queries.
        database, queries: descriptors of the images.
        thresholds: metres, the main ones first.
        recall_values: the N of recall@N.

    Raises:
        ArgumentError: if there are no such sequences.
    """
    windows = chosen.windows(test_set, {"database": np.sort(database.rows), "queries": np.sort(queries.rows)})
    _log(test_set, chosen, windows)
    pair = SequencePair(test_set.queries, test_set.database, windows["queries"], windows["database"])
    metres = None
    if test_set.labelled and test_set.positives is None:
        metres = _nearest_metres(pair, test_set.groups)
        if test_set.middles is not None and test_set.middles.answerable is not None:
            kept = np.flatnonzero(metres <= test_set.middles.answerable)
            pair, metres = replace(pair, query_windows=pair.query_windows.take(kept)), metres[kept]
    if not len(pair.query_windows):
        raise ArgumentError("sequence_length", f"{chosen.length}: no query of {test_set.name} is left")
    main, *others = thresholds
    positives = None
    if test_set.labelled and test_set.positives is not None:
        positives = pair.positives(test_set.positives)
    answerable = None if metres is None else metres <= main
    return Truth(
        np.arange(len(pair.database_windows)),
        pair.database.take(pair.database_windows.middle),
        pair.queries.take(pair.query_windows.middle),
        answerable if positives is None else positives.counts > 0,
        main,
        positives,
        _groups(test_set.groups, pair),
        {} if metres is None else {other: metres <= other for other in others},
        recall_values,
        test_set.protocol,
        pair,
    )


def _log(test_set: TestSet, chosen: SequenceSearch, windows: dict[str, Windows]) -> None:
    for side, own in windows.items():
        if side != chosen.single:
            lost = f", {own.left_out} images without sequence and frame" if own.left_out else ""
            logging.info(
                f"{test_set.name} {side}: {len(own)} sequences of {own.length} frames, cut at {own.gaps} gaps in the "
                f"numbers of frames{lost}"
            )


def _nearest_metres(pair: SequencePair, groups: Groups | None) -> np.ndarray:
    """Returns how far the nearest database window of its part is from each query window, (q,)."""
    asked, where = np.unique(pair.query_windows.rows, return_inverse=True)
    there = np.unique(pair.database_windows.rows)
    metres = nearest_in_parts(pair.database.take(there), pair.queries.take(asked), there, asked, groups)
    return metres[where].reshape(pair.query_windows.rows.shape).min(axis=1)


def _groups(groups: Groups | None, pair: SequencePair) -> Groups | None:
    if groups is None:
        return None
    own = Groups(groups.database[pair.database_windows.middle], groups.queries[pair.query_windows.middle], groups.names)
    for name, (database, queries) in zip(own.names, own.members(), strict=True):
        if len(queries) and not len(database):
            length = pair.database_windows.length
            raise ArgumentError("sequence_length", f"{length}: the database of {name} has no such sequence; lower it")
    return own


def sequence_tables(
    chosen: SequenceSearch,
    pair: SequencePair,
    database: DescriptorTable,
    queries: DescriptorTable,
    count: int,
    **storage: Any,
) -> tuple[Any, Any, Find | None]:
    """Returns what is searched: tables of both sides whose rows are numbers of windows, and how; None for an index.

    Args:
        chosen: how sequences are searched.
        pair: windows of both sides.
        database, queries: descriptors of the images.
        count: predictions of a query.
        storage: storage of mean descriptors of the database, as for `make_table`.
    """
    sides = (database, pair.database_windows, storage), (queries, pair.query_windows, {})
    if chosen.method == "seqmatch" and chosen.length > 1:
        tables = (FrameTable(table, windows, np.arange(len(windows))) for table, windows, _ in sides)
        return *tables, partial(match_lines, k=count, lines=chosen.lines)
    return *(_mean_table(table, windows, stored) for table, windows, stored in sides), None


def _mean_table(table: DescriptorTable, windows: Windows, storage: dict[str, Any]) -> DescriptorTable:
    """Returns mean descriptors; those of single images are as they are."""
    if windows.length == 1:
        return table.renumbered(windows.middle)
    means = make_table(len(windows), table.dim, **storage)
    means.add(mean_descriptors(table, windows))
    return means
