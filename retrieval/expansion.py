"""Alpha query expansion and database-side augmentation: descriptors are moved towards their neighbours."""

from collections.abc import Iterator

import numpy as np

from commons.errors import ArgumentError
from retrieval.engine import Engine
from retrieval.index import nearest
from retrieval.table import BLOCK, DescriptorTable

STEP = 1_024
Extracted = Iterator[tuple[np.ndarray, np.ndarray]]


def check_neighbours(query_expansion: int, database_augmentation: int, images: int) -> None:
    """Raises ArgumentError if a database of `images` images has fewer neighbours."""
    for parameter, count, most in (
        ("query_expansion", query_expansion, images),
        ("database_augmentation", database_augmentation, images - 1),
    ):
        if count > most:
            raise ArgumentError(
                parameter, f"{count} is more than the {most} neighbours in a database of {images} images; lower it"
            )


def expand_queries(
    queries: DescriptorTable, database: DescriptorTable, count: int, alpha: float = 3.0, index: Engine | str = "flat"
) -> Extracted:
    """Alpha query expansion (https://arxiv.org/abs/1711.02512), for another search with what it gives.

        q' = (q + sum_i max(q . x_i, 0)^alpha x_i) / |...|,  i over the `count` nearest of the database

    With alpha 0 it is average query expansion (https://doi.org/10.1109/ICCV.2007.4408891).

    Args:
        queries, database: unit descriptors.
        count: neighbours.
        alpha: exponent of the cosine.
        index: how to search, one of retrieval.index.INDICES.

    Yields:
        (rows (b,), expanded float32 descriptors (b, d)) in the order of `queries`.
    """
    yield from _expanded(queries, database, count, alpha, index)


def augment_database(
    database: DescriptorTable, count: int, alpha: float = 3.0, index: Engine | str = "flat"
) -> Extracted:
    """Database-side augmentation (https://doi.org/10.1109/CVPR.2012.6248018) with the weights of alpha query expansion.

        x_j' = (x_j + sum_i max(x_j . x_i, 0)^alpha x_i) / |...|,  i over the `count` nearest of the others

    Args:
        database: unit descriptors.
        count, alpha, index: as for `expand_queries`.

    Yields:
        (rows (b,), augmented float32 descriptors (b, d)) in the order of `database`.
    """
    yield from _expanded(database, database, count, alpha, index, among_themselves=True)


def _expanded(
    table: DescriptorTable,
    database: DescriptorTable,
    count: int,
    alpha: float,
    index: Engine | str,
    among_themselves: bool = False,
) -> Extracted:
    starts = range(0, len(table), BLOCK)
    blocks = (table.vectors[start : start + BLOCK] for start in starts)
    neighbours = nearest(database, blocks, count + among_themselves, index)
    for start, (found, similarities) in zip(starts, neighbours, strict=True):
        if among_themselves:
            found, similarities = _without_itself(found, similarities, start, count)
        weights = np.maximum(similarities, 0) ** alpha
        for step in range(0, len(found), STEP):
            these, rows = slice(step, step + STEP), slice(start + step, start + min(step + STEP, len(found)))
            yield table.rows[rows], _sum(table.vectors[rows], database.vectors, found[these], weights[these])


def _without_itself(
    found: np.ndarray, similarities: np.ndarray, first: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Drops each image from its own neighbours or, where it is not among them, the least similar one."""
    itself = found == np.arange(first, first + len(found))[:, None]
    order = np.argsort(-np.where(itself, -np.inf, similarities), axis=1, kind="stable")[:, :count]
    return np.take_along_axis(found, order, 1), np.take_along_axis(similarities, order, 1)


def _sum(own: np.ndarray, vectors: np.ndarray, found: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Adds the weighted neighbours rank by rank, so that memory holds one a descriptor, and normalises."""
    total = own.astype(np.float32)
    for rank in range(found.shape[1]):
        total += weights[:, rank, None] * vectors[found[:, rank]]
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
