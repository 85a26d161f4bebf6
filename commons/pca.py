"""Principal components with whitening, computed by LAPACK in bounded memory.

Used for the initial linear layer of a network and for the PCA of descriptors at test time.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.blas import dsyrk

# Rows or columns of the data that are converted to float64 at a time.
STEP = 1_024
# Up to this many dimensions, numpy.linalg.eigh decomposes the covariance for any number of vectors, so the signs of the
# components, which are arbitrary, do not depend on that number.
SMALL = 4_096


@dataclass(frozen=True)
class PrincipalComponents:
    """The directions in which vectors vary most.

    Attributes:
        mean: (d,).
        components: orthonormal rows (D, d), of descending variance.
        variances: variances of the vectors along the components, (D,).
        kept: share of the total variance that all D components keep.
    """

    mean: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    kept: float

    def whitened(self, power: float) -> np.ndarray:
        """Returns the components divided by variance^power, (D, d).

        The power is 0 for no whitening and 1/2 for full whitening, after which all components have the same variance;
        1/4 is halfway (https://hal.science/hal-00722622, section 3).
        """
        return self.components * self.variances[:, None] ** -power


def principal_components(vectors: np.ndarray, dim: int) -> PrincipalComponents:
    """Computes the first `dim` principal components of vectors.

    Decomposes the covariance (d, d) or, where there are fewer vectors than dimensions and more than 4,096 dimensions,
    the Gram matrix (n, n). Either is summed up block by block: with s its side, peak memory is 32 s^2 bytes up to 4,096
    and 8 s^2 above, besides `vectors` and a block of them in float64.

    Args:
        vectors: (n, d), float16 to float64.
        dim: number of components, less than n and at most d.

    Returns:
        The components in float64. Variances of directions in which the vectors do not vary are about 0.
    """
    mean = np.asarray(vectors.mean(axis=0, dtype=np.float64))
    count, size = vectors.shape
    solve = _by_covariance if size <= max(count, SMALL) else _by_gram_matrix
    components, variances, total = solve(vectors, mean, dim)
    return PrincipalComponents(mean, components, variances, float(variances.sum() / total))


def covariance(vectors: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Sums up the covariance of (n, d) around `mean` block by block.

    Returns:
        float64 (d, d), divided by n - 1; only the lower triangle is filled.
    """
    total = np.zeros((len(mean), len(mean)), order="F")
    for start in range(0, len(vectors), STEP):
        part = vectors[start : start + STEP] - mean
        total = dsyrk(1.0, part.T, beta=1.0, c=total, lower=True, overwrite_c=True)
    total *= 1 / (len(vectors) - 1)
    return total


def _by_covariance(vectors: np.ndarray, mean: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray, float]:
    matrix = covariance(vectors, mean)
    total = float(np.trace(matrix))
    variances, directions = _largest(matrix, dim)
    return np.ascontiguousarray(directions.T), variances, total


def _by_gram_matrix(vectors: np.ndarray, mean: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray, float]:
    """With X (n, d) centred and X X^T / (n - 1) = U diag(v) U^T, the components are U^T X / sqrt((n - 1) v)."""
    count = len(vectors)
    matrix = np.zeros((count, count), order="F")
    steps = [slice(start, start + STEP) for start in range(0, len(mean), STEP)]
    for step in steps:
        part = vectors[:, step] - mean[step]
        matrix = dsyrk(1.0, part.T, beta=1.0, c=matrix, trans=True, lower=True, overwrite_c=True)
    matrix *= 1 / (count - 1)
    total = float(np.trace(matrix))
    variances, directions = _largest(matrix, dim)
    weights = directions.T / np.sqrt((count - 1) * np.maximum(variances, np.finfo(float).tiny))[:, None]
    components = np.empty((dim, len(mean)))
    for step in steps:
        components[:, step] = weights @ (vectors[:, step] - mean[step])
    return components, variances, total


def _largest(matrix: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """The `dim` largest eigenvalues, descending, and their eigenvectors in columns; overwrites the lower triangle."""
    size = len(matrix)
    if size <= SMALL:
        values, vectors = np.linalg.eigh(matrix)
    else:
        values, vectors = eigh(matrix, subset_by_index=[size - dim, size - 1], overwrite_a=True)
    return values[::-1][:dim], vectors[:, ::-1][:, :dim]
