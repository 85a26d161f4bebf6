"""Short hashes of image files, to find images that two sets share under different names or in different folders."""

import hashlib
import os
from pathlib import Path

import numpy as np

from commons.threads import in_threads
from datasets.places import Places

TAIL = 4096
READERS = 16
UNREADABLE = 0


def fingerprints(places: Places) -> np.ndarray:
    """Returns a number for each image, int64 (n,), equal for equal files; 0 for those that cannot be read."""
    rows = range(len(places))
    return np.fromiter(in_threads(lambda row: _fingerprint(places.path(row)), rows, READERS), np.int64, len(places))


def count_shared(places: Places, known: np.ndarray) -> int:
    """Counts the images of a table whose fingerprints are among the `known` ones, int64 (n,)."""
    return int(np.isin(fingerprints(places), known[known != UNREADABLE]).sum())


def _fingerprint(path: Path) -> int:
    """Hashes a file's size and its last 4 kB. They hold pixels; many files may share a header."""
    try:
        with open(path, "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - TAIL))
            tail = stream.read()
    except OSError:
        return UNREADABLE
    digest = hashlib.blake2b(size.to_bytes(8, "little") + tail, digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
