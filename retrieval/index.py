"""A FAISS index that is filled batch by batch."""

from collections.abc import Callable, Iterable
from pathlib import Path

import faiss
import numpy as np

from commons.errors import PlacewiseError
from commons.files import atomic_path, write_text

BLOCK = 65_536


class DescriptorIndex:
    """Exact search by Euclidean distance, which for unit descriptors ranks as the cosine does.

    Descriptors stream in and are kept once: 4 * d bytes each, and 8 bytes for the row. FAISS grows its storage by
    doubling, so for a moment up to three times as much is reserved.
    """

    def __init__(self, dim: int) -> None:
        self.index = faiss.IndexFlatL2(dim)
        self._rows: list[np.ndarray] = []

    def __len__(self) -> int:
        return self.index.ntotal

    @property
    def rows(self) -> np.ndarray:
        """Row of the table of each indexed descriptor, in the order they were added."""
        return np.concatenate(self._rows) if self._rows else np.empty(0, np.int64)

    def add(self, described: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Adds (rows, float32 descriptors) as they come.

        Raises:
            PlacewiseError: if a descriptor is not finite.
        """
        for rows, descriptors in described:
            if not np.isfinite(descriptors).all():
                raise PlacewiseError("the network gives descriptors that are no numbers: try --precision fp32")
            self.index.add(np.ascontiguousarray(descriptors))
            self._rows.append(np.asarray(rows, np.int64))

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Finds the k nearest descriptors of each query, or all where there are fewer.

        Args:
            queries: float32 (q, d) of unit length.
            k: neighbours.

        Returns:
            Rows of the table, int64 (q, k), and cosine similarities, float32 (q, k), best first.
        """
        squared, found = self.index.search(np.ascontiguousarray(queries), min(k, len(self)))
        # |a - b|^2 = 2 - 2 cos for unit vectors.
        return self.rows[found], 1 - squared / 2

    def descriptors(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Returns the descriptors in ascending order of their rows, from `start` to `stop`: float32 (n, d)."""
        order = np.argsort(self.rows, kind="stable")[start:stop]
        return self.index.reconstruct_batch(order) if len(order) else np.empty((0, self.index.d), np.float32)

    def save(self, folder: Path, name: str, path: Callable[[int], Path]) -> None:
        """Writes <name>_descriptors.npy, float32 (n, d), and the image paths in the same order to <name>_paths.txt."""
        with atomic_path(folder / f"{name}_descriptors.npy") as temporary:
            shape = (len(self), self.index.d)
            header = {
                "descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)),
                "fortran_order": False,
                "shape": shape,
            }
            with open(temporary, "wb") as file:
                np.lib.format.write_array_header_1_0(file, header)
                for start in range(0, len(self), BLOCK):
                    file.write(self.descriptors(start, start + BLOCK).tobytes())
        lines = (f"{path(row)}\n" for row in np.sort(self.rows))
        write_text(folder / f"{name}_paths.txt", "".join(lines))
