"""Sequences of images: which frame of which sequence an image is, and windows of consecutive frames."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from commons.errors import ArgumentError, PlacewiseError
from datasets.names import numbers
from datasets.places import Frames, Places

UNKNOWN = -1
# Names of vg-transformers and JIST: @east@north@sequence@frame@pano_id@city@timestamp@.jpg
SHORT = r"^(?:.*/)?@[^@/]*@[^@/]*@(?P<sequence>[^@/]+)@(?P<frame>\d+)@[^@/]*@[^@/]*@[^@/]*@[^@/]*$"
# <sequence>/@...@<note><frame>@.jpg, the SF-XL convention, and <sequence>/<text><frame>.jpg
IN_FOLDERS = r"^(?P<sequence>.+)/(?:@(?:[^@/]*@){13})?[^@/]*?(?P<frame>\d+)@?\.[^./@]+$"


def frames_from(sequence: pa.Array, frame: np.ndarray, source: object) -> Frames:
    """Builds the columns from the names of sequences.

    Args:
        sequence: names, (n,), null or "" where unknown.
        frame: numbers, float64 (n,), NaN where unknown.
        source: file, for messages.

    Raises:
        PlacewiseError: if a number is not whole.
    """
    broken = np.isfinite(frame) & (frame != np.floor(frame))
    if broken.any():
        row = int(broken.argmax())
        raise PlacewiseError(f"{source}: row {row + 1}: frame {frame[row]:g} is not a whole number")
    texts = sequence.fill_null("")
    known = pc.not_equal(texts, "").to_numpy(zero_copy_only=False) & np.isfinite(frame)
    codes = texts.dictionary_encode().indices.to_numpy().astype(np.int64)
    return Frames(np.where(known, codes, UNKNOWN), np.where(known, np.nan_to_num(frame), 0).astype(np.int64))


def frames_of(places: Places) -> Frames:
    """Returns the frames of images as their table says, otherwise as their names say.

    Names of vg-transformers and JIST hold both. Other images must lie in a folder for each sequence; the frame is the
    whole number at the end of the name, or of the note in a name by the SF-XL convention.
    """
    if places.frames is not None:
        return places.frames
    found = pc.extract_regex(places.names, SHORT)
    if found.null_count == len(places):
        found = pc.extract_regex(places.names, IN_FOLDERS)
    frame = numbers(pc.struct_field(found, "frame").fill_null(""))
    return frames_from(pc.struct_field(found, "sequence"), frame, places.folder)


@dataclass(frozen=True)
class Windows:
    """Windows of `length` consecutive frames of one sequence, in ascending order of their middle frames.

    A sequence is cut into runs where a frame is missing; `low` to `high` is the run of a window.

    Attributes:
        length: frames of a window, N.
        order: rows of the images, run by run in the order of their frames, (n,).
        start, low, high: positions in `order` of a window's first frame, and of its run's first and last frame, (w,).
        gaps: how many times a sequence was cut.
        left_out: how many images name no sequence or frame.
    """

    length: int
    order: np.ndarray
    start: np.ndarray
    low: np.ndarray
    high: np.ndarray
    gaps: int = 0
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.start)

    @property
    def before(self) -> int:
        """How many frames of a window lie before its middle frame; one fewer than after it where N is even."""
        return (self.length - 1) // 2

    @property
    def rows(self) -> np.ndarray:
        """Rows of the images, (w, N)."""
        return self.order[self.start[:, None] + np.arange(self.length)]

    @property
    def middle(self) -> np.ndarray:
        """Rows of the middle frames, (w,), ascending."""
        return self.order[self.start + self.before]

    def take(self, numbers: np.ndarray) -> "Windows":
        """Returns some windows, ascending `numbers`."""
        return replace(self, start=self.start[numbers], low=self.low[numbers], high=self.high[numbers])

    def around(self, rows: np.ndarray) -> np.ndarray:
        """Returns the window whose middle frame is nearest to each frame, of those that contain it, (m,).

        Args:
            rows: rows of frames that are in a window, (m,).
        """
        position = np.empty(self.order.max(initial=-1) + 1, np.int64)
        position[self.order] = np.arange(len(self.order))
        where = position[rows]
        by_start = np.argsort(self.start, kind="stable")
        starts = self.start[by_start]
        after = np.searchsorted(starts, where - self.before)
        candidates = np.stack([np.clip(after + shift, 0, len(starts) - 1) for shift in (-1, 0)])
        apart = np.abs(starts[candidates] - (where - self.before)).astype(float)
        inside = (starts[candidates] <= where) & (where < starts[candidates] + self.length)
        apart[~inside] = np.inf
        return by_start[np.take_along_axis(candidates, apart.argmin(axis=0)[None], 0)[0]]


def single_images(rows: np.ndarray) -> Windows:
    """Returns a window of one frame for each image of ascending `rows`."""
    numbers = np.arange(len(rows))
    return Windows(1, rows, numbers, numbers, numbers)


def cut_windows(frames: Frames, length: int, rows: np.ndarray, name: str) -> Windows:
    """Finds all windows of consecutive frames, which overlap. None goes across the end of a sequence or a gap.

    Args:
        frames: frames of all images.
        length: frames of a window.
        rows: rows of the images that are there, ascending.
        name: name of the images, for messages.

    Raises:
        ArgumentError: if no image names a sequence and a frame, two images are one frame, or there is no window.
    """
    known = rows[frames.sequence[rows] != UNKNOWN]
    if not len(known):
        raise ArgumentError(
            "sequence_length",
            f"{name} have no sequence and frame: add the columns sequence and frame to places.csv, or put each "
            "sequence into a folder with the number of the frame at the end of each name (docs/sequences.md)",
        )
    order = known[np.lexsort([frames.frame[known], frames.sequence[known]])]
    same = np.diff(frames.sequence[order]) == 0
    steps = np.diff(frames.frame[order])
    twice = np.flatnonzero(same & (steps == 0))
    if len(twice):
        raise ArgumentError(
            "sequence_length",
            f"{name}: frame {frames.frame[order[twice[0]]]} occurs twice in a sequence ({len(twice)} such frames): are "
            "the numbers frame numbers? (docs/sequences.md)",
        )
    first = np.flatnonzero(np.concatenate([[True], ~(same & (steps == 1))]))
    last = np.append(first[1:], len(order)) - 1
    run = np.repeat(np.arange(len(first)), last - first + 1)
    start = np.flatnonzero(np.arange(len(order)) + length - 1 <= last[run])
    if not len(start):
        most = int((last - first + 1).max())
        raise ArgumentError(
            "sequence_length", f"{length}: {name} have at most {most} consecutive frame(s) of one sequence; lower it"
        )
    start = start[np.argsort(order[start + (length - 1) // 2])]
    gaps = int((same & (steps > 1)).sum())
    return Windows(length, order, start, first[run[start]], last[run[start]], gaps, len(rows) - len(known))
