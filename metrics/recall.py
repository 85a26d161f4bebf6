"""Recall@N: the share of queries with a correct image among their first N predictions."""

from collections.abc import Mapping, Sequence

import numpy as np

from metrics import RECALL_VALUES


def recalls(correct: np.ndarray, answerable: np.ndarray, values: Sequence[int] = RECALL_VALUES) -> dict[str, float]:
    """Computes recall@N in percent.

    Args:
        correct: bool (q, k), whether each prediction lies within the threshold, best first.
        answerable: bool (q,), whether the database holds any image within the threshold.
        values: the N; an N above k counts as k.

    Returns:
        "R@N" over all queries, as in papers, and "answerable R@N" over the answerable ones, if there are any.
    """
    found = np.maximum.accumulate(correct, axis=1)
    total, possible = max(len(correct), 1), int(answerable.sum())
    hits = {n: int(found[:, min(n, found.shape[1]) - 1].sum()) for n in values}
    figures = {f"R@{n}": 100 * hit / total for n, hit in hits.items()}
    return figures | {f"answerable R@{n}": 100 * hit / possible for n, hit in hits.items() if possible}


def recalls_of(results: Mapping[str, object]) -> dict[str, float]:
    """Returns the recalls over all queries, "R@N", among the results of a test set."""
    return {name: value for name, value in results.items() if name.startswith("R@")}


def decided_by_ties(correct: np.ndarray, groups: np.ndarray) -> int:
    """Counts the queries whose most similar predictions are tied, some of them correct and some not.

    Args:
        correct: bool (q, k), whether each prediction lies within the threshold, best first.
        groups: int (q, k), the same number for predictions that are equally similar, 0 for the first ones.
    """
    first = groups == 0
    return int(((first & correct).any(axis=1) & (first & ~correct).any(axis=1)).sum())
