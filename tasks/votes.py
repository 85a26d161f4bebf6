"""Predictions of a query from those of its crops (https://arxiv.org/abs/2204.03444)."""

import numpy as np

from retrieval.index import tie_groups

Combined = tuple[np.ndarray, np.ndarray, np.ndarray]
WEIGHT = 0.01  # of a vote, in squared distances of descriptors
FIRST = (1, 5, 10)  # votes are counted among that many first predictions of each crop
BLOCK = 1024


def nearest_crop(rows: np.ndarray, similarities: np.ndarray) -> Combined:
    """Orders the predictions of all crops by their similarity; each image counts once, with its nearest crop.

    Args:
        rows: predictions of each crop, best first, int (q, crops, k). Each crop has k different ones, or repeats its
            last one.
        similarities: cosines, (q, crops, k).

    Returns:
        Predictions, int (q, k), their largest similarities, (q, k), and the same as what orders them.
    """
    return _first_of_each(rows, similarities, similarities)


def majority_voting(rows: np.ndarray, similarities: np.ndarray) -> Combined:
    """Orders the predictions of all crops by squared distance, less 0.01 c / n for n = 1, 5 and 10.

    c is how many crops have the image among their first n predictions; one alone is no vote. A crop that does not have
    the image among its first n takes no part in it.

    Args:
        rows, similarities: as for `nearest_crop`.

    Returns:
        Predictions, int (q, k), the similarities of the crops that decided their place, (q, k), and 1 - distance / 2
        with their votes, in descending order, (q, k).
    """
    repeated = np.zeros_like(rows, bool)
    repeated[..., 1:] = rows[..., 1:] == rows[..., :-1]
    scores = similarities.astype(np.float64)
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        for first in FIRST:
            scores[block, :, :first] += WEIGHT / 2 * _votes(rows[block, :, :first], repeated[block, :, :first]) / first
    return _first_of_each(rows, scores, similarities)


def _votes(rows: np.ndarray, repeated: np.ndarray) -> np.ndarray:
    """Returns how many crops have the same image, (q, crops, n), 0 where no other one has."""
    flat, counted = rows.reshape(len(rows), -1), ~repeated.reshape(len(rows), -1)
    same = (flat[:, :, None] == flat[:, None, :]) & counted[:, None, :]
    counts = same.sum(axis=2).reshape(rows.shape)
    return np.where(counts > 1, counts, 0)


def _first_of_each(rows: np.ndarray, scores: np.ndarray, similarities: np.ndarray) -> Combined:
    """Returns the k images with the highest scores, each once, their similarities and scores, (q, k) each.

    Images of equal scores, within 1e-6, are ordered by their rows.
    """
    count = rows.shape[2]
    rows, scores, similarities = (values.reshape(len(rows), -1) for values in (rows, scores, similarities))
    best = np.argsort(-scores, axis=1, kind="stable")
    rows, scores, similarities = (np.take_along_axis(values, best, 1) for values in (rows, scores, similarities))
    by_row = np.argsort(rows, axis=1, kind="stable")  # of equal ones the best comes first
    ordered = np.take_along_axis(rows, by_row, 1)
    again = np.zeros_like(ordered, bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    repeated = np.zeros_like(again)
    np.put_along_axis(repeated, by_row, again, 1)
    kept = np.argsort(repeated, axis=1, kind="stable")[:, :count]
    last = np.maximum((~repeated).sum(axis=1, keepdims=True) - 1, 0)
    kept = np.take_along_axis(kept, np.minimum(np.arange(kept.shape[1]), last), 1)
    rows, scores, similarities = (np.take_along_axis(values, kept, 1) for values in (rows, scores, similarities))
    order = np.lexsort([rows, tie_groups(scores)], axis=1)
    return tuple(np.take_along_axis(values, order, 1) for values in (rows, similarities, scores))
