"""What a layout of paired photos and aerial images is, and what several layouts share."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from commons.errors import ArgumentError, PlacewiseError
from datasets.cross_view import PAIRED
from datasets.places import Places, make_places
from datasets.readers.reader import check_there
from metrics.cross_view import Lists

TRAIN, VAL, TEST = "train", "val", "test"


@dataclass(frozen=True)
class PairedSet:
    """Images to find, and images of another view that they are searched among.

    Attributes:
        name: for reports.
        queries, references: the images.
        positives: references that show the place of each query. In training, the first one is its partner.
        semi_positives: references that show it, too, but count neither as right nor as wrong; None for none.
        layout: one of PAIRED.
        protocol: one of the layout's.
        from_above: whether the queries are the aerial images, and the references the photos.
        average_precision: whether AP is among the official figures.
    """

    name: str
    queries: Places
    references: Places
    positives: Lists
    semi_positives: Lists | None = None
    layout: str = ""
    protocol: str = ""
    from_above: bool = False
    average_precision: bool = False

    @property
    def tables(self) -> dict[str, Places]:
        """The images by what they are."""
        return {"queries": self.queries, "references": self.references}

    def __str__(self) -> str:
        way = "aerial images among photos" if self.from_above else "photos among aerial images"
        protocol = f" ({self.protocol})" if self.protocol else ""
        return f"{self.name}{protocol}: {len(self.queries)} queries, {len(self.references)} references, {way}"


class PairedLayout(ABC):
    """Reads data sets of one layout.

    Attributes:
        name: name in PAIRED.
        protocols: the first one is the usual one; none where there is only one way.
    """

    name: ClassVar[str]
    protocols: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    @abstractmethod
    def recognises(folder: Path) -> bool:
        """Whether a folder has this layout; looks at names of files and folders only."""

    @staticmethod
    @abstractmethod
    def evaluated(folder: Path) -> list[str]:
        """Returns the splits to measure on, of "val" and "test"."""

    @classmethod
    @abstractmethod
    def read(cls, folder: Path, split: str, protocol: str, name: str) -> PairedSet:
        """Reads a split. In training, queries are photos and references aerial images.

        Args:
            folder: folder of this layout.
            split: "train", or one of those evaluated.
            protocol: one of `protocols`; "" if there are none.
            name: for reports.

        Raises:
            PlacewiseError: if files are missing or damaged, or do not belong together.
        """


def paired_layout(folder: str | Path | None) -> type[PairedLayout] | None:
    """Returns the layout of paired images that a folder has; None for others."""
    if folder is None or not Path(folder).is_dir():
        return None
    return next((layout for layout in PAIRED.values() if layout.recognises(Path(folder))), None)


def choose_protocol(layout: type[PairedLayout], protocol: str | None) -> str:
    """Returns the protocol to follow.

    Raises:
        ArgumentError: if the layout does not have it.
    """
    if protocol is None:
        return layout.protocols[0] if layout.protocols else ""
    if protocol not in layout.protocols:
        have = f"one of {', '.join(layout.protocols)}" if layout.protocols else "none"
        raise ArgumentError("protocol", f"{protocol}: data of the layout {layout.name} have {have}")
    return protocol


def listed_images(
    folder: Path, names: Sequence[str], source: Path, degrees: tuple[np.ndarray, np.ndarray] | None = None
) -> Places:
    """Returns the table of images that a list names.

    Args:
        folder: folder that the names are relative to.
        names: names of the images.
        source: the list, for messages.
        degrees: latitude and longitude, NaN where unknown; None for none.

    Raises:
        PlacewiseError: if there are none, or one is missing or named twice.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise PlacewiseError(f"{source}: lists {name} twice")
        seen.add(name)
    check_there(folder, names, source)
    latitude, longitude = degrees or (None, None)
    return make_places(folder, pa.array(names, pa.string()), latitude=latitude, longitude=longitude)


def one_each(rows: np.ndarray) -> Lists:
    """Returns lists of some references for each query, as many for all: int (q, k)."""
    rows = np.asarray(rows, np.int64).reshape(len(rows), -1)
    return Lists(np.arange(len(rows) + 1) * rows.shape[1], rows.ravel())


def lines_of(source: Path) -> Iterator[tuple[int, str]]:
    """Yields the numbers and texts of the lines of a file that are not empty.

    Raises:
        PlacewiseError: if it is missing, or no UTF-8 text.
    """
    try:
        text = source.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise PlacewiseError(f"{source}: there is no such file") from error
    except UnicodeDecodeError as error:
        raise PlacewiseError(f"{source}: is not UTF-8 text") from error
    yield from ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip())
