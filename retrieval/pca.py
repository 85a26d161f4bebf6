"""PCA of descriptors, with or without whitening, fitted in bounded memory, saved and reloaded."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.linalg import eigh

from commons.checkpoints import load_checkpoint, save_checkpoint
from commons.errors import ArgumentError, PlacewiseError
from retrieval import WHITENING
from retrieval.table import DescriptorTable

MOST_IMAGES = 16_384
STEP = 1_024
NO_VARIANCE = 1e-10


@dataclass(frozen=True)
class PCA:
    """The directions in which descriptors vary most.

    Attributes:
        mean: float32 (d,).
        components: orthonormal rows, float32 (D, d), of descending variance.
        variances: of the descriptors along them, float32 (D,).
        kept: share of the whole variance, of all D.
    """

    mean: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    kept: float

    def first(self, dim: int) -> "PCA":
        """Returns the PCA of its first `dim` components."""
        kept = self.kept * float(self.variances[:dim].sum() / self.variances.sum())
        return replace(self, components=self.components[:dim], variances=self.variances[:dim], kept=kept)

    def project(self, descriptors: np.ndarray, whiten: str = "none") -> np.ndarray:
        """Reduces descriptors: y = diag(variances^-p) components (x - mean), then y / |y|.

        p is 0 for "none", 1/4 for "half" and 1/2 for "full", with which all components have the same variance
        (https://hal.science/hal-00722622, section 3).

        Args:
            descriptors: (n, d).
            whiten: one of WHITENING.

        Returns:
            float32 (n, D) of unit length.
        """
        weights = self.components * self.variances[:, None] ** -WHITENING[whiten]
        reduced = (descriptors.astype(np.float32, copy=False) - self.mean) @ weights.T
        return reduced / np.maximum(np.linalg.norm(reduced, axis=1, keepdims=True), 1e-12)

    def project_table(self, table: DescriptorTable, whiten: str = "none") -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the rows and reduced descriptors of a table, block by block."""
        for start in range(0, len(table), STEP):
            block = slice(start, start + STEP)
            yield table.rows[block], self.project(table.vectors[block], whiten)

    def save(self, path: Path) -> None:
        """Writes it to `path`."""
        arrays = {name: torch.from_numpy(getattr(self, name)) for name in ("mean", "components", "variances")}
        save_checkpoint(arrays | {"kept": self.kept}, path)


def load_pca(path: str | Path) -> PCA:
    """Reads what `PCA.save` wrote.

    Raises:
        PlacewiseError: if the file is missing or holds no PCA.
    """
    saved = load_checkpoint(path)
    try:
        pca = PCA(*(saved[name].numpy() for name in ("mean", "components", "variances")), float(saved["kept"]))
        whole = pca.components.shape == (*pca.variances.shape, *pca.mean.shape)
    except (KeyError, AttributeError, TypeError, ValueError):
        whole = False
    if not whole:
        raise PlacewiseError(f"`pca_file`: {path} holds no PCA; eval.py with `pca_dim` writes one, pca.pth")
    return pca


def sampled(images: int) -> range:
    """Returns which of `images` images a PCA is fitted to: at most 16,384, spread evenly."""
    return range(0, images, max(1, -(-images // MOST_IMAGES)))


def check_pca(dim: int, descriptor_dim: int, images: int) -> None:
    """Raises ArgumentError if descriptors of `images` images cannot give a PCA of `dim` components."""
    if dim > descriptor_dim:
        raise ArgumentError("pca_dim", f"{dim} is too many: the descriptors have {descriptor_dim} dimensions; lower it")
    used = len(sampled(images))
    if dim >= used:
        raise ArgumentError(
            "pca_dim",
            f"{dim} is too many: a PCA of {used} images has fewer components; lower it, or give more images with "
            f"`pca_images` (of more than {MOST_IMAGES} every second, third, ... is used)",
        )


def fit_pca(table: DescriptorTable, dim: int) -> PCA:
    """Fits a PCA to the descriptors of at most 16,384 images, spread evenly over the table.

    Of n images and d dimensions it decomposes the smaller of the covariance (d, d) and the Gram matrix (n, n), which is
    summed up block by block: 8 min(n, d)^2 bytes, and some for a block.

    Args:
        table: descriptors.
        dim: components.

    Raises:
        ArgumentError: if the descriptors have fewer dimensions, or vary in fewer directions.
    """
    check_pca(dim, table.dim, len(table))
    sample = table.vectors[:: sampled(len(table)).step]
    mean = np.asarray(sample.mean(axis=0, dtype=np.float64))
    solve = _by_covariance if table.dim <= len(sample) else _by_gram_matrix
    components, variances, total = solve(sample, mean, dim)
    return PCA(mean.astype(np.float32), components, variances.astype(np.float32), float(variances.sum() / total))


def covariance(sample: np.ndarray, mean: np.ndarray) -> torch.Tensor:
    """Sums up the covariance of (n, d) around `mean` block by block: float64 (d, d), divided by n - 1."""
    total = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for start in range(0, len(sample), STEP):
        part = torch.from_numpy(sample[start : start + STEP] - mean)
        total.addmm_(part.T, part)
    return total.div_(len(sample) - 1)


def _by_covariance(sample: np.ndarray, mean: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray, float]:
    matrix = covariance(sample, mean)
    total = float(matrix.trace())
    variances, vectors = _largest(matrix, dim)
    return np.ascontiguousarray(vectors.T, np.float32), variances, total


def _by_gram_matrix(sample: np.ndarray, mean: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray, float]:
    """With X (n, d) centred and X X^T / (n - 1) = U diag(v) U^T, the components are U^T X / sqrt((n - 1) v)."""
    matrix = torch.zeros(len(sample), len(sample), dtype=torch.float64)
    steps = [slice(start, start + STEP) for start in range(0, len(mean), STEP)]
    for step in steps:
        part = torch.from_numpy(sample[:, step] - mean[step])
        matrix.addmm_(part, part.T)
    total = float(matrix.div_(len(sample) - 1).trace())
    variances, vectors = _largest(matrix, dim)
    weights = vectors.T / np.sqrt((len(sample) - 1) * variances)[:, None]
    components = np.empty((dim, len(mean)), np.float32)
    for step in steps:
        components[:, step] = weights @ (sample[:, step] - mean[step])
    return components, variances, total


def _largest(matrix: torch.Tensor, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """The `dim` largest eigenvalues, descending, and their eigenvectors in columns; overwrites the matrix."""
    size = len(matrix)
    values, vectors = eigh(matrix.numpy().T, subset_by_index=[size - dim, size - 1], overwrite_a=True)
    varying = int((values > NO_VARIANCE * values[-1]).sum())
    if varying < dim:
        raise ArgumentError("pca_dim", f"{dim} is too many: the descriptors vary in {varying} directions; lower it")
    return values[::-1], vectors[:, ::-1]
