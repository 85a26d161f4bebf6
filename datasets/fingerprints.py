"""Short hashes of image files, to find images that two sets share under different names or in different folders."""

import hashlib
import os

import numpy as np

from commons.threads import in_threads
from datasets.places import Places, Source

TAIL = 4096
READERS = 16
UNREADABLE = 0


def fingerprints(places: Places) -> np.ndarray:
    """Returns a number for each image, int64 (n,), equal for equal files; 0 for those that cannot be read."""
    rows = range(len(places))
    return np.fromiter(in_threads(lambda row: _fingerprint(places.source(row)), rows, READERS), np.int64, len(places))


def count_shared(places: Places, known: np.ndarray) -> int:
    """Counts the images of a table whose fingerprints are among the `known` ones, int64 (n,)."""
    return int(np.isin(fingerprints(places), known[known != UNREADABLE]).sum())


def fingerprint(size: int, tail: bytes) -> int:
    """Hashes an image's size in bytes and its last 4 kB. They hold pixels; many files may share a header."""
    digest = hashlib.blake2b(size.to_bytes(8, "little") + tail[-TAIL:], digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _fingerprint(source: Source) -> int:
    try:
        with open(source.path, "rb") as stream:
            size = stream.seek(0, os.SEEK_END) if source.size < 0 else source.size
            start = max(0, size - TAIL)
            stream.seek(source.offset + start)
            tail = stream.read(size - start)
    except OSError:
        return UNREADABLE
    return fingerprint(size, tail) if len(tail) == size - start else UNREADABLE
