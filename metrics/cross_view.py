"""Metrics of street photos located by aerial images: Recall@k<r, R@1 % and hit rate, with ties counted against us.

The rank of a photo is the number of wrong references that are at least as similar as its best correct one. A network
that gives all images one descriptor therefore has no correct answer, instead of only correct ones. What chance would
give it is `expected_recall`.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import gammaln

from commons.errors import ArgumentError
from commons.sphere import km_to_chord, unit_vectors

RECALL_AT, RADII_M = (1, 5, 10, 50, 100), (0, 25, 50, 100)
TIED = 1e-6  # similarities that differ by less are equal
ENTRIES = 2**25  # similarities in memory at once: 128 MiB
MOST_QUERIES = 4096  # that read the references together


class Lists(NamedTuple):
    """A list of references for each of q queries: those of query i are rows[offsets[i]:offsets[i + 1]]."""

    offsets: np.ndarray
    rows: np.ndarray

    @classmethod
    def of_cells(cls, cells: np.ndarray) -> "Lists":
        """Returns lists of one cell each, int (q,), and of none where it is -1."""
        return cls(np.r_[0, np.cumsum(cells >= 0)], cells[cells >= 0])

    def part(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the queries and references of the lists of queries start to stop; queries count from start."""
        counts = np.diff(self.offsets[start : stop + 1])
        return np.repeat(np.arange(stop - start), counts), self.rows[self.offsets[start] : self.offsets[stop]]


class Ranks(NamedTuple):
    """How each query's best correct reference compares with the wrong ones, int64 (q,) each.

    Attributes:
        better: wrong references that are more similar; all references if there is no correct one.
        tied: wrong references that are as similar.
        correct: correct references that are as similar, with the best one; 0 if there is none.
    """

    better: np.ndarray
    tied: np.ndarray
    correct: np.ndarray


def references_within(
    latitude: np.ndarray,
    longitude: np.ndarray,
    reference_latitude: np.ndarray,
    reference_longitude: np.ndarray,
    radius_m: float,
) -> Lists:
    """Returns the references less than some metres from each query (great circle).

    Args:
        latitude, longitude: of the queries in degrees, (q,).
        reference_latitude, reference_longitude: (n,).
        radius_m: metres.
    """
    tree = cKDTree(unit_vectors(reference_latitude, reference_longitude))
    chord = np.nextafter(km_to_chord(np.array(radius_m / 1000)), 0)
    found = tree.query_ball_point(unit_vectors(latitude, longitude), chord, return_sorted=True)
    counts = np.array([len(rows) for rows in found], np.int64)
    return Lists(np.r_[0, np.cumsum(counts)], np.concatenate([np.zeros(0, np.int64), *found]).astype(np.int64))


def ranks(
    queries: np.ndarray,
    references: np.ndarray,
    correct: Mapping[str, Lists],
    ignored: Mapping[str, Lists] | None = None,
) -> dict[str, Ranks]:
    """Ranks the correct references among all, exactly, for several meanings of correct.

    Similarities of some queries and references are in memory at once, never those of all. Each MOST_QUERIES queries
    read the references once.

    Args:
        queries: unit descriptors, float32 (q, d).
        references: unit descriptors, float32 or float16 (n, d); may be memory-mapped.
        correct: the correct references by name, such as those within a radius.
        ignored: references that are neither right nor wrong, unless they are correct, by the name of the meaning that
            they are for: semi-positives.
    """
    parts = {name: [np.zeros((3, 0), np.int64)] for name in correct}
    for start in range(0, len(queries), MOST_QUERIES):
        stop = min(start + MOST_QUERIES, len(queries))
        lists, out = ({name: own.part(start, stop) for name, own in part.items()} for part in (correct, ignored or {}))
        for name, found in _ranks(queries[start:stop], references, lists, out).items():
            parts[name].append(found)
    return {name: Ranks(*np.concatenate(found, axis=1)) for name, found in parts.items()}


Pairs = tuple[np.ndarray, np.ndarray]  # of queries and references


def _ranks(
    queries: np.ndarray, references: np.ndarray, correct: Mapping[str, Pairs], ignored: Mapping[str, Pairs]
) -> dict[str, np.ndarray]:
    """Returns better, tied and correct of `Ranks` by name, (3, q)."""
    best = {name: _best(queries, references, *pairs) for name, pairs in correct.items()}
    counts = {name: np.zeros((3, len(queries)), np.int64) for name in correct}
    block = max(ENTRIES // max(len(queries), 1), 1)
    for start in range(0, len(references), block):
        similar = queries @ np.asarray(references[start : start + block], np.float32).T
        for name, pairs in correct.items():
            right = _mask(pairs, start, similar.shape)
            wrong = ~right & ~_mask(ignored[name], start, similar.shape) if name in ignored else ~right
            equal = np.abs(similar - best[name]) <= TIED
            better = similar > best[name] + TIED
            counts[name] += [(own[0] & own[1]).sum(axis=1) for own in ((wrong, better), (wrong, equal), (right, equal))]
    for name, (found, _) in correct.items():
        # The best one is equal to itself, however its similarity was rounded.
        counts[name][2, np.unique(found)] = np.maximum(counts[name][2, np.unique(found)], 1)
    return counts


def _best(queries: np.ndarray, references: np.ndarray, own: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the similarity of each query's best correct reference, float32 (q, 1), -inf where there is none."""
    best = np.full(len(queries), -np.inf, np.float32)
    step = max(ENTRIES // max(queries.shape[1], 1), 1)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        similar = np.einsum("pd,pd->p", queries[own[part]], np.asarray(references[rows[part]], np.float32))
        np.maximum.at(best, own[part], similar)
    return best[:, None]


def _mask(pairs: Pairs, start: int, shape: tuple[int, int]) -> np.ndarray:
    """Returns which of the references from start on belong to which queries, bool `shape`."""
    own, rows = pairs
    inside = (rows >= start) & (rows < start + shape[1])
    found = np.zeros(shape, bool)
    found[own[inside], rows[inside] - start] = True
    return found


def recall(found: Ranks, k: int) -> float:
    """Returns the share of queries with a correct reference among the first k, ties counted against us, 0 to 1."""
    return float(((found.correct > 0) & (found.better + found.tied < k)).mean()) if len(found.better) else 0.0


def expected_recall(found: Ranks, k: int) -> float:
    """Returns the recall@k that equally similar references in random order have on average.

    Of t wrong and c correct ones that are tied, k - better are among the first k. None of them is correct with
    probability C(t, k - better) / C(t + c, k - better).
    """
    if not len(found.better):
        return 0.0
    room = np.clip(k - found.better, 0, None)
    miss = np.zeros(len(room))
    open_ = (room <= found.tied) & (found.correct > 0)
    t, c, m = (column[open_].astype(np.float64) for column in (found.tied, found.correct, room))
    miss[open_] = np.exp(gammaln(t + 1) - gammaln(t - m + 1) + gammaln(t + c - m + 1) - gammaln(t + c + 1))
    miss[found.correct == 0] = 1
    return float(1 - miss.mean())


def recalls_at_radii(found: Mapping[str, Ranks], values: Sequence[int] = RECALL_AT) -> dict[str, float]:
    """Returns "Recall@k<r" of 0 to 1 for each k and each r among the names of `found`, such as "50m"."""
    return {f"Recall@{k}<{radius}": recall(own, k) for radius, own in found.items() for k in values}


def recalls_of_answers(
    distances_m: np.ndarray,
    in_own_cell: np.ndarray,
    scores: np.ndarray,
    radii_m: Sequence[float] = RADII_M,
    values: Sequence[int] = RECALL_AT,
) -> dict[str, float]:
    """Returns "Recall@k<rm" of 0 to 1 for the answers of an index, ties within them counted against us.

    Ties beyond the last answer are not seen. `ranks` sees all.

    Args:
        distances_m: metres from the truth to the middle of each answered cell, the most similar first, (q, k); inf
            or NaN for no answer.
        in_own_cell: whether the answer is the cell that contains the truth, bool (q, k): correct at radius 0.
        scores: similarities, (q, k).
        radii_m: metres; an answer is correct if it is nearer.
        values: the k of recall@k.

    Raises:
        ArgumentError: if there are fewer answers than the largest k.
    """
    if distances_m.shape[1] < max(values):
        raise ArgumentError(
            "k", f"recall@{max(values)} needs {max(values)} answers per photo, not {distances_m.shape[1]}"
        )
    found = {}
    for radius in radii_m:
        before = wrong_before(in_own_cell if radius == 0 else distances_m < radius, scores)
        for k in values:
            found[f"Recall@{k}<{radius:g}m"] = float((before < k).mean()) if len(before) else 0.0
    return found


def wrong_before(right: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns how many wrong answers are at least as similar as the best right one, float64 (q,), inf if none is right.

    Args:
        right: which answers are right, bool (q, k).
        scores: similarities, (q, k).
    """
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    before = (~right & (scores >= best - TIED)).sum(axis=1)
    return np.where(right.any(axis=1), before, np.inf)


def share_interval(share: float, count: int, level: float = 0.95) -> tuple[float, float]:
    """Returns the percentile bootstrap interval of a share of `count` photos, for infinitely many draws.

    A share of photos that are drawn with replacement is binomial, so its quantiles need no draws.

    Args:
        share: 0 to 1.
        count: photos, at least 1.
        level: probability that the interval covers.
    """
    from scipy.stats import binom  # takes half a second to import

    low, high = binom.ppf([(1 - level) / 2, (1 + level) / 2], count, share) / count
    return float(low), float(high)


def is_below_cell(radius_m: float, cell_m: float) -> bool:
    """Whether a radius is so small that the right cell may have its middle farther away: half of its diagonal."""
    return 0 < radius_m <= cell_m / sqrt(2)


def one_percent(references: int) -> int:
    """Returns the k of R@1 %: one hundredth of the references rounded down, and 1 at least."""
    return max(references // 100, 1)


def average_precision(queries: np.ndarray, references: np.ndarray, correct: Lists) -> np.ndarray:
    """Returns the average precision of each query as University-1652 defines it, 0 to 1, float64 (q,).

    With r_i correct and wrong references before the i-th of c correct ones, i from 0 on (trapezoids under the curve):

        AP = 1/c sum over i of ( i / r_i + (i + 1) / (r_i + 1) ) / 2,     where 0/0 is 1

    Ties count against us: wrong references that are as similar come first. It is 0 without a correct reference.

    Args:
        queries: unit descriptors, float32 (q, d).
        references: unit descriptors, float32 (n, d).
        correct: references of the place of each query.
    """
    total = len(references)
    block, parts = max(ENTRIES // 8 // max(total, 1), 1), [np.zeros(0)]  # sorting takes more memory
    for start in range(0, len(queries), block):
        stop = min(start + block, len(queries))
        right = _mask(correct.part(start, stop), 0, (stop - start, total))
        order = np.argsort(np.where(right, 0, -TIED) - queries[start:stop] @ references.T, axis=1, kind="stable")
        query, before = np.nonzero(np.take_along_axis(right, order, 1))
        count = right.sum(axis=1)
        number = np.arange(len(query)) - np.repeat(np.cumsum(count) - count, count)
        old = np.where(before > 0, number / np.maximum(before, 1), 1.0)
        summed = np.bincount(query, (old + (number + 1) / (before + 1)) / 2, stop - start)
        parts.append(summed / np.maximum(count, 1))
    return np.concatenate(parts)


def official_metrics(
    queries: np.ndarray,
    references: np.ndarray,
    positives: Lists,
    semi_positives: Lists | None = None,
    values: Sequence[int] = (1, 5, 10),
    precision: bool = False,
) -> dict[str, float]:
    """Returns R@k, R@1 % and, with semi-positives, the hit rate in percent, as VIGOR, CVUSA and CVACT report them.

    The hit rate is R@1 where references that also show the place are not counted as wrong
    (https://arxiv.org/abs/2011.12172).

    Args:
        queries: unit descriptors, (q, d).
        references: unit descriptors, (n, d).
        positives: the reference of each query.
        semi_positives: references that show the place beside their middle.
        values: the k.
        precision: whether to add "AP", the mean average precision of University-1652.
    """
    ignored = {} if semi_positives is None else {"hit rate": semi_positives}
    found = ranks(queries, references, dict.fromkeys(["", *ignored], positives), ignored)
    figures = {f"R@{k}": 100 * recall(found[""], k) for k in values}
    figures["R@1%"] = 100 * recall(found[""], one_percent(len(references)))
    figures |= {name: 100 * recall(found[name], 1) for name in ignored}
    if precision:
        figures["AP"] = 100 * float(average_precision(queries, references, positives).mean()) if len(queries) else 0.0
    return figures
