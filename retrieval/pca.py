"""PCA of descriptors at test time, with or without whitening, saved and reloaded."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from commons.checkpoints import load_checkpoint, save_checkpoint
from commons.errors import ArgumentError, PlacewiseError
from commons.pca import PrincipalComponents, principal_components
from retrieval import WHITENING
from retrieval.table import DescriptorTable

MOST_IMAGES = 16_384
STEP = 1_024
NO_VARIANCE = 1e-10


@dataclass(frozen=True)
class PCA(PrincipalComponents):
    """A PCA of descriptors, in float32."""

    def first(self, dim: int) -> "PCA":
        """Returns the PCA of its first `dim` components."""
        kept = self.kept * float(self.variances[:dim].sum() / self.variances.sum())
        return replace(self, components=self.components[:dim], variances=self.variances[:dim], kept=kept)

    def project(self, descriptors: np.ndarray, whiten: str = "none") -> np.ndarray:
        """Reduces descriptors: y = diag(variances^-p) components (x - mean), then y / |y|.

        p is 0 for "none", 1/4 for "half" and 1/2 for "full".

        Args:
            descriptors: (n, d).
            whiten: one of WHITENING.

        Returns:
            float32 (n, D) of unit length.
        """
        weights = self.whitened(WHITENING[whiten])
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
        raise PlacewiseError(f"`pca_file`: {path} contains no PCA; use the pca.pth of an eval.py run with `pca_dim`")
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
            f"`pca_images` (at most {MOST_IMAGES} are used, evenly spaced)",
        )


def fit_pca(table: DescriptorTable, dim: int) -> PCA:
    """Fits a PCA to the descriptors of at most 16,384 images, spread evenly over the table.

    Peak memory: see `commons.pca.principal_components`.

    Args:
        table: descriptors.
        dim: components.

    Raises:
        ArgumentError: if the descriptors have fewer dimensions, or vary in fewer directions.
    """
    check_pca(dim, table.dim, len(table))
    found = principal_components(table.vectors[:: sampled(len(table)).step], dim)
    varying = int((found.variances > NO_VARIANCE * found.variances[0]).sum())
    if varying < dim:
        raise ArgumentError("pca_dim", f"{dim} is too many: the descriptors have a rank of {varying}; lower it")
    single = (array.astype(np.float32) for array in (found.mean, found.components, found.variances))
    return PCA(*single, found.kept)
