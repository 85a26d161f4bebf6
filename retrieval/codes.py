"""Descriptors in one byte or one bit a dimension, which are decoded where they are needed."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import faiss
import numpy as np

CODES_PART = 8_192  # descriptors that share the numbers of a code
FLOATS = {"float32": np.dtype(np.float32), "float16": np.dtype(np.float16)}


@dataclass(frozen=True)
class Codec:
    """How the dimensions of some descriptors become codes, and codes descriptors.

    Attributes:
        low, step: of each dimension, float32 (d,). An int8 code c means low + step (c + 1/2) / 255. A bit b means
            low + step b.
    """

    low: np.ndarray
    step: np.ndarray

    @property
    def dim(self) -> int:
        """Dimension d of the descriptors."""
        return len(self.low)

    @property
    def width(self) -> int:
        """Bytes of a descriptor."""
        raise NotImplementedError

    @classmethod
    def fit(cls, vectors: np.ndarray) -> "Codec":
        """Returns the codec of descriptors, float32 (n, d) with n > 0."""
        raise NotImplementedError

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Returns the codes of descriptors, float32 (n, d): uint8 (n, width)."""
        raise NotImplementedError

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Returns the descriptors of codes, uint8 (n, width): float32 (n, d)."""
        raise NotImplementedError


class Int8(Codec):
    """256 equal steps from the least to the greatest value of each dimension (FAISS's QT_8bit)."""

    @property
    def width(self) -> int:
        """Bytes of a descriptor."""
        return self.dim

    @classmethod
    def fit(cls, vectors: np.ndarray) -> "Int8":
        """Returns the codec of descriptors, float32 (n, d) with n > 0."""
        low = vectors.min(axis=0)
        return cls(low, vectors.max(axis=0) - low)

    @cached_property
    def _quantizer(self) -> faiss.ScalarQuantizer:
        quantizer = faiss.ScalarQuantizer(self.dim, faiss.ScalarQuantizer.QT_8bit)
        faiss.copy_array_to_vector(np.concatenate([self.low, self.step]), quantizer.trained)
        return quantizer

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Returns the codes of descriptors, float32 (n, d): uint8 (n, d)."""
        return self._quantizer.compute_codes(np.ascontiguousarray(vectors))

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Returns the descriptors of codes, uint8 (n, d): float32 (n, d)."""
        return self._quantizer.decode(np.ascontiguousarray(codes))


class Binary(Codec):
    """The side of the mean of each dimension, and on both sides the mean distance from it.

    These are the two values with the least squared error where a dimension is symmetric around its mean. Decoded
    descriptors have length 1, so queries that are not coded have a cosine with them.
    """

    @property
    def width(self) -> int:
        """Bytes of a descriptor."""
        return -(-self.dim // 8)

    @classmethod
    def fit(cls, vectors: np.ndarray) -> "Binary":
        """Returns the codec of descriptors, float32 (n, d) with n > 0."""
        mean = vectors.mean(axis=0)
        distance = np.abs(vectors - mean).mean(axis=0)
        return cls(mean - distance, 2 * distance)

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Returns the codes of descriptors, float32 (n, d): uint8 (n, d / 8), rounded up."""
        return np.packbits(vectors > self.low + self.step / 2, axis=1)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Returns the descriptors of codes, uint8 (n, d / 8): float32 (n, d)."""
        vectors = np.unpackbits(codes, axis=1, count=self.dim).astype(np.float32)
        vectors *= self.step
        vectors += self.low
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


CODECS: dict[str, type[Codec]] = {"int8": Int8, "binary": Binary}


def codec_facts(codec: Codec) -> dict[str, str]:
    """Returns the numbers of a codec as text, for `codec_from`."""
    return {name: base64.b64encode(getattr(codec, name).astype("<f4").tobytes()).decode() for name in ("low", "step")}


def codec_from(kind: str, facts: dict[str, Any]) -> Codec:
    """Returns the codec, one of CODECS, whose numbers `codec_facts` has returned."""
    return CODECS[kind](*(np.frombuffer(base64.b64decode(facts[name]), "<f4") for name in ("low", "step")))


class Coded:
    """An array of descriptors that is kept as codes. Indexing with a slice or with positions of any shape decodes."""

    dtype = FLOATS["float32"]

    def __init__(self, codes: np.ndarray, codec: Codec) -> None:
        """Args:
        codes: uint8 (n, width); they may lie on disk.
        codec: codec of the images.
        """
        self.codes, self.codec = codes, codec
        self.shape, self.nbytes = (len(codes), codec.dim), codes.nbytes

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, chosen: slice | np.ndarray) -> np.ndarray:
        codes = np.asarray(self.codes[chosen])
        return self.codec.decode(codes.reshape(-1, codes.shape[-1])).reshape(*codes.shape[:-1], self.codec.dim)


class Joined:
    """Arrays of equal width and type one below the other, without a copy; they may be `Coded`.

    Indexing with a slice or with positions of any shape returns a copy, except for a slice within one array.
    """

    def __init__(self, parts: Sequence[np.ndarray | Coded], dim: int) -> None:
        self.parts = list(parts)
        self.starts = np.cumsum([0, *map(len, self.parts)])
        self.shape, self.dtype = (int(self.starts[-1]), dim), self.parts[0].dtype if self.parts else FLOATS["float16"]
        self.nbytes = sum(part.nbytes for part in self.parts)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: slice | np.ndarray) -> np.ndarray:
        if isinstance(chosen, slice):
            start, stop, step = chosen.indices(len(self))
            if step == 1:
                return self._range(start, max(start, stop))
            chosen = np.arange(start, stop, step)
        positions = np.asarray(chosen)
        flat = np.where(positions.ravel() < 0, positions.ravel() + len(self), positions.ravel())
        owners = np.searchsorted(self.starts, flat, "right") - 1
        taken = np.empty((len(flat), self.shape[1]), self.dtype)
        for owner in np.unique(owners):
            there = owners == owner
            taken[there] = self.parts[owner][flat[there] - self.starts[owner]]
        return taken.reshape(*positions.shape, self.shape[1])

    def _range(self, start: int, stop: int) -> np.ndarray:
        first = int(np.searchsorted(self.starts, start, "right")) - 1
        pieces = []
        while start < stop:
            end = min(stop, int(self.starts[first + 1]))
            pieces.append(self.parts[first][start - self.starts[first] : end - self.starts[first]])
            start, first = end, first + 1
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else np.empty((0, self.shape[1]), self.dtype)
