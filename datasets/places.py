"""Places: a table of images and where each was taken."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from commons.errors import PlacewiseError
from datasets.geodesy import from_utm, to_utm


class Degrees(NamedTuple):
    """WGS84 latitude and longitude in degrees, float64 (n,), NaN where unknown."""

    latitude: np.ndarray
    longitude: np.ndarray


class Utm(NamedTuple):
    """UTM coordinates of n images.

    Attributes:
        east, north: metres, float64 (n,), NaN where unknown.
        zone: int16 (n,), the zone's number, negative in the southern hemisphere, 0 where unknown.
    """

    east: np.ndarray
    north: np.ndarray
    zone: np.ndarray


class Members(NamedTuple):
    """Where n images lie that are members of archives, such as tar files.

    Attributes:
        archive: relative path of each image's archive, dictionary-encoded.
        offset, size: of the image's bytes in the archive, int64 (n,).
    """

    archive: pa.DictionaryArray
    offset: np.ndarray
    size: np.ndarray


class Source(NamedTuple):
    """Where the bytes of one image lie: a file, and the part of it; a size of -1 is the whole file."""

    path: Path
    offset: int = 0
    size: int = -1


class Frames(NamedTuple):
    """Which frame of which sequence each of n images is.

    Attributes:
        sequence: number of the sequence, int64 (n,), -1 where unknown.
        frame: number of the frame, int64 (n,).
    """

    sequence: np.ndarray
    frame: np.ndarray


@dataclass(frozen=True)
class Places:
    """Images and where they were taken; every column has one entry an image.

    A position is a point on the earth in degrees. Many data sets name it in UTM, with or without degrees beside it, and
    some in metres of their own without a zone. The table keeps what its source says, unchanged, and computes the rest
    when it is asked for: `degrees` from UTM and zone, `utm` from degrees.

    Attributes:
        folder: folder that `names` are relative to.
        names: relative paths with forward slashes (an Arrow array: compact, and shared with worker processes).
        given_degrees, given_utm: as the source says; None if it says nothing for any image.
        heading: degrees in [0, 360), float64, NaN where unknown.
        timestamp: as written in the source, "" where unknown.
        members: where images lie that are members of archives; None for files. Their names begin with the archive's.
        frames: as a table says; None where only names can say it (datasets.sequences).
    """

    folder: Path
    names: pa.Array
    given_degrees: Degrees | None
    given_utm: Utm | None
    heading: np.ndarray
    timestamp: pa.Array
    members: Members | None = None
    frames: Frames | None = None

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        """Returns the path of image `index`; for a member of an archive, the archive's and its own name joined."""
        return self.folder / self.names[int(index)].as_py()

    def source(self, index: int) -> Source:
        """Returns where the bytes of image `index` lie."""
        if self.members is None:
            return Source(self.path(index))
        archive, offset, size = (column[int(index)] for column in self.members)
        return Source(self.folder / archive.as_py(), int(offset), int(size))

    def take(self, indices: np.ndarray) -> "Places":
        """Returns the rows `indices`, in that order."""

        def rows(columns: Degrees | Utm | Frames | None) -> Degrees | Utm | Frames | None:
            return None if columns is None else type(columns)(*(column[indices] for column in columns))

        numbers = pa.array(np.asarray(indices, dtype=np.int64))
        taken = replace(
            self,
            names=self.names.take(numbers),
            given_degrees=rows(self.given_degrees),
            given_utm=rows(self.given_utm),
            heading=self.heading[indices],
            timestamp=self.timestamp.take(numbers),
            members=None if self.members is None else _members(self.members, indices, numbers),
            frames=rows(self.frames),
        )
        for name, given in (("degrees", self.given_degrees), ("utm", self.given_utm)):
            if self.__dict__.get(name, given) is not given:  # it was computed, and need not be again
                taken.__dict__[name] = rows(self.__dict__[name])
        return taken

    @property
    def located(self) -> np.ndarray:
        """Boolean array: which images have a position, in degrees or UTM."""
        known = np.zeros(len(self), bool)
        for columns in (self.given_degrees, self.given_utm):
            if columns is not None:
                known |= np.isfinite(columns[0]) & np.isfinite(columns[1])
        return known

    @cached_property
    def degrees(self) -> Degrees:
        """As the source says, otherwise computed from UTM and zone; NaN for UTM without a zone."""
        if self.given_utm is None:
            return self.given_degrees or Degrees(*np.full((2, len(self)), np.nan))
        if self.given_degrees is None:
            return Degrees(*from_utm(*self.given_utm))
        missing = ~np.isfinite(self.given_degrees).all(axis=0) & (self.given_utm.zone != 0)
        if not missing.any():
            return self.given_degrees
        return _filled(self.given_degrees, missing, from_utm(*(column[missing] for column in self.given_utm)))

    @cached_property
    def utm(self) -> Utm:
        """As the source says, otherwise computed from degrees; NaN and zone 0 near the poles, where UTM ends."""
        if self.given_degrees is None:
            unknown = np.full((2, len(self)), np.nan)
            return self.given_utm or Utm(*unknown, np.zeros(len(self), np.int16))
        if self.given_utm is None:
            return Utm(*to_utm(*self.given_degrees))
        missing = ~(np.isfinite(self.given_utm.east) & np.isfinite(self.given_utm.north))
        missing &= np.isfinite(self.given_degrees).all(axis=0)
        if not missing.any():
            return self.given_utm
        return _filled(self.given_utm, missing, to_utm(*(column[missing] for column in self.given_degrees)))

    latitude = property(lambda self: self.degrees.latitude, doc="Degrees, float64 (n,), NaN where unknown.")
    longitude = property(lambda self: self.degrees.longitude, doc="Degrees, float64 (n,), NaN where unknown.")
    utm_east = property(lambda self: self.utm.east, doc="Metres, float64 (n,), NaN where unknown.")
    utm_north = property(lambda self: self.utm.north, doc="Metres, float64 (n,), NaN where unknown.")
    utm_zone = property(lambda self: self.utm.zone, doc="Number, int16 (n,), negative in the south, 0 where unknown.")


def places_key(places: Places) -> str:
    """Returns a hash of the names and positions of a table, without its folder."""
    key = hashlib.sha256()
    for start in range(0, len(places), 100_000):
        key.update("\n".join(places.names.slice(start, 100_000).to_pylist()).encode())
    for columns in (places.given_degrees, places.given_utm):
        for column in columns or ():
            key.update(np.ascontiguousarray(column).tobytes())
    return key.hexdigest()


def _members(members: Members, indices: np.ndarray, numbers: pa.Array) -> Members:
    return Members(members.archive.take(numbers), members.offset[indices], members.size[indices])


def _filled(columns: Degrees | Utm, rows: np.ndarray, values: tuple[np.ndarray, ...]) -> Degrees | Utm:
    """Returns a copy with other values in some rows; the columns may lie in a file that is mapped for reading."""
    copies = [column.copy() for column in columns]
    for copy, part in zip(copies, values, strict=True):
        copy[rows] = part
    return type(columns)(*copies)


def make_places(
    folder: Path,
    names: pa.Array,
    utm_east: np.ndarray | None = None,
    utm_north: np.ndarray | None = None,
    utm_zone: np.ndarray | None = None,
    latitude: np.ndarray | None = None,
    longitude: np.ndarray | None = None,
    heading: np.ndarray | None = None,
    timestamp: pa.Array | None = None,
    frames: Frames | None = None,
) -> Places:
    """Builds a table from the columns that are known.

    Raises:
        PlacewiseError: if degrees are no point on earth, and the image has no UTM coordinates.
    """
    size = len(names)
    given_utm = given_degrees = None
    if utm_east is not None and utm_north is not None:
        zone = np.zeros(size, np.int16) if utm_zone is None else np.asarray(utm_zone, np.int16)
        given_utm = Utm(np.asarray(utm_east, np.float64), np.asarray(utm_north, np.float64), zone)
    if latitude is not None and longitude is not None:
        given_degrees = Degrees(np.asarray(latitude, np.float64), np.asarray(longitude, np.float64))
        given_degrees = _on_earth(Path(folder), names, given_degrees, given_utm)
    heading = np.broadcast_to(np.nan, size) if heading is None else np.mod(np.asarray(heading, np.float64), 360.0)
    if timestamp is None:  # zeros that are not written take no memory
        timestamp = pa.StringArray.from_buffers(size, pa.py_buffer(np.zeros(size + 1, np.int32)), pa.py_buffer(b""))
    return Places(Path(folder), names, given_degrees, given_utm, heading, timestamp, frames=frames)


def _on_earth(folder: Path, names: pa.Array, degrees: Degrees, utm: Utm | None) -> Degrees:
    """Returns degrees without those that are no point on earth; raises PlacewiseError where there is no UTM instead."""
    wrong = (degrees.latitude < -90) | (degrees.latitude > 90)  # without copies of the columns
    wrong |= (degrees.longitude < -180) | (degrees.longitude > 180)
    if not wrong.any():
        return degrees
    lost = wrong if utm is None else wrong & ~(np.isfinite(utm.east) & np.isfinite(utm.north))
    if lost.any():
        first = int(lost.argmax())
        raise PlacewiseError(
            f"{folder / names[first].as_py()}: latitude {degrees.latitude[first]:g}, longitude "
            f"{degrees.longitude[first]:g} ({lost.sum()} such images): latitudes go from -90 to 90 and longitudes from "
            "-180 to 180: are they swapped?"
        )
    return Degrees(*(np.where(wrong, np.nan, column) for column in degrees))
