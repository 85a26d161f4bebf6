"""Photos of a test set that training photos repeat: the same file, or a picture that looks the same.

Similar pictures are found as in pHash (C. Zauner, "Implementation and benchmarking of perceptual image hash functions",
2010): the signs of 63 low frequencies of a small grey copy. Pairs whose signs differ in few places are then
compared by the correlation of their grey copies.
"""

from dataclasses import dataclass

import faiss
import numpy as np
import torch
from scipy.fft import dctn
from tqdm import tqdm

from commons.threads import in_threads
from datasets.decoding import ImageFiles, decode
from datasets.fingerprints import UNREADABLE, fingerprint
from datasets.places import Places

SIDE, FREQUENCIES = 32, 8
READERS, BLOCK = 8, 1000
CANDIDATES = 8  # training photos that each test photo is compared with
LARGEST_DISTANCE = 12  # of 63 signs
LEAST_CORRELATION = 0.96
LEAST_CONTRAST = 4.0  # standard deviation in grey levels; fog and night have no picture to compare
GREY = torch.tensor([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Duplicates:
    """Test photos that are among the training photos.

    Attributes:
        exact: pairs of rows (test, training) with the same file, int64 (e, 2), one for each such test photo.
        near: pairs of rows that look the same, int64 (m, 2), one for each other such test photo.
        correlation: of the grey copies of `near`, float32 (m,).
        test_images, training_images: how many were compared.
        unreadable: how many photos of both cannot be decoded.
        plain: how many photos of both have too little contrast to be compared by their looks.
    """

    exact: np.ndarray
    near: np.ndarray
    correlation: np.ndarray
    test_images: int
    training_images: int
    unreadable: int
    plain: int

    def lines(self, test: Places, training: Places, examples: int = 3) -> list[str]:
        """Returns the counts as text, with the paths of the first pairs."""
        share = (len(self.exact) + len(self.near)) / max(1, self.test_images)
        lines = [
            f"{len(self.exact)} of {self.test_images} test photos are training photos, and {len(self.near)} look like "
            f"one ({share:.2%} together)"
        ]
        if self.unreadable or self.plain:
            lines.append(
                f"not compared by their looks: {self.unreadable} photos that cannot be decoded, {self.plain} without "
                "contrast"
            )
        for kind, pairs in (("same file", self.exact), ("looks the same", self.near)):
            lines += [f"{kind}: {test.path(a)} and {training.path(b)}" for a, b in pairs[:examples].tolist()]
        return lines


@dataclass(frozen=True)
class _Looks:
    """What is seen of n photos.

    Attributes:
        fingerprints: int64 (n,).
        signs: 64 bits each, uint8 (n, 8).
        grey: copies of 32x32, uint8 (n, 1024).
        decoded: whether they could be decoded, bool (n,).
        compared: whether they also have contrast, bool (n,).
    """

    fingerprints: np.ndarray
    signs: np.ndarray
    grey: np.ndarray
    decoded: np.ndarray
    compared: np.ndarray


def find_duplicates(test: Places, training: Places) -> Duplicates:
    """Finds test photos that are among the training photos, each with the one that is most like it.

    Needs about 1.1 kB of memory a photo.

    Args:
        test: photos to look for.
        training: photos to look among.
    """
    sought, known = _look(test, "Looking at test photos"), _look(training, "Looking at training photos")
    exact = _exact(sought.fingerprints, known.fingerprints)
    others = sought.compared.copy()
    others[exact[:, 0]] = False
    near, correlation = _near(sought, known, np.flatnonzero(others))
    both = (sought, known)
    return Duplicates(
        exact,
        near,
        correlation,
        len(test),
        len(training),
        sum(int((~looks.decoded).sum()) for looks in both),
        sum(int((looks.decoded & ~looks.compared).sum()) for looks in both),
    )


def _look(places: Places, what: str) -> _Looks:
    """Reads each photo once."""
    files, count = ImageFiles(places), len(places)
    looks = _Looks(
        np.zeros(count, np.int64),
        np.zeros((count, 8), np.uint8),
        np.zeros((count, SIDE * SIDE), np.uint8),
        np.zeros(count, bool),
        np.zeros(count, bool),
    )

    def look(row: int) -> tuple[int, np.ndarray | None]:
        number = UNREADABLE
        try:
            data = files.load(row)
            number = fingerprint(len(data), data[-4096:].numpy().tobytes())
            return number, _grey(data)
        except OSError:
            return number, None

    found = tqdm(in_threads(look, range(count), READERS), what, count, leave=False, disable=count < BLOCK)
    for row, (number, grey) in enumerate(found):
        looks.fingerprints[row] = number
        if grey is not None:
            looks.grey[row], looks.decoded[row] = grey.ravel(), True
    for start in range(0, count, BLOCK):
        part = slice(start, start + BLOCK)
        looks.signs[part] = _signs(looks.grey[part])
        looks.compared[part] = looks.decoded[part] & (looks.grey[part].std(axis=1) >= LEAST_CONTRAST)
    return looks


def _grey(data: torch.Tensor) -> np.ndarray:
    """Returns a grey copy of the bytes of an image, uint8 (32, 32)."""
    image = decode(data, (SIDE, SIDE)).float()
    return torch.einsum("c,chw->hw", GREY, image).round().to(torch.uint8).numpy()


def _signs(grey: np.ndarray) -> np.ndarray:
    """Returns the signs of 63 low frequencies against their median as bits, uint8 (n, 8)."""
    waves = dctn(grey.reshape(-1, SIDE, SIDE).astype(np.float32), axes=(1, 2))[:, :FREQUENCIES, :FREQUENCIES]
    waves = waves.reshape(len(grey), -1)
    waves[:, 0] = -np.inf  # the mean brightness says nothing
    return np.packbits(waves > np.median(waves[:, 1:], axis=1, keepdims=True), axis=1)


def _exact(sought: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Returns pairs of rows with equal fingerprints, int64 (e, 2), one for each row that is found."""
    values, rows = np.unique(known, return_index=True)
    at = np.searchsorted(values, sought).clip(max=max(0, len(values) - 1))
    found = np.flatnonzero((values[at] == sought) & (sought != UNREADABLE)) if len(values) else np.zeros(0, np.int64)
    return np.stack([found, rows[at[found]]], axis=1).astype(np.int64)


def _near(sought: _Looks, known: _Looks, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns pairs (test, training) that look the same, and the correlations of their grey copies."""
    among = np.flatnonzero(known.compared)
    pairs, correlations = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    if len(among):
        index = faiss.IndexBinaryFlat(64)
        index.use_heap = False  # counting takes half the time
        index.add(known.signs[among])
        starts = range(0, len(rows), BLOCK)
        for start in tqdm(starts, "Comparing photos", leave=False, disable=len(starts) < 10):
            part = rows[start : start + BLOCK]
            distances, found = index.search(sought.signs[part], min(CANDIDATES, len(among)))
            likeness = np.full(distances.shape, -1, np.float32)
            own, place = np.nonzero(distances <= LARGEST_DISTANCE)
            candidates = among[found]
            greys = sought.grey[part[own]], known.grey[candidates[own, place]]
            likeness[own, place] = np.einsum("nd,nd->n", *map(_unit, greys))
            best = likeness.argmax(axis=1)
            value = likeness[np.arange(len(part)), best]
            same = value >= LEAST_CORRELATION
            pairs.append(np.stack([part, candidates[np.arange(len(part)), best]], axis=1)[same])
            correlations.append(value[same])
    return np.concatenate(pairs), np.concatenate(correlations)


def _unit(grey: np.ndarray) -> np.ndarray:
    """Returns grey copies (n, 1024) without their mean and of length 1, so that products are correlations."""
    values = grey.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    return values / np.linalg.norm(values, axis=1, keepdims=True).clip(1e-6)
