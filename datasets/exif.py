"""Where and when a photo was taken, as its EXIF data say."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from datasets.decoding import PILLOW_ERRORS

GPS_IFD, DETAILS_IFD = 0x8825, 0x8769
LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE, DIRECTION = 1, 2, 3, 4, 17
TIME = 36867
NO_WORDS = ("NONE", "NAN", "NULL", "NA")
# Why a photo has no position.
UNREADABLE, NO_GPS = "a file that cannot be opened", "no GPS position"
DAMAGED, ZERO = "a damaged GPS position", "a GPS position of 0, 0"


class Photo(NamedTuple):
    """What the EXIF data of a photo say.

    Attributes:
        latitude, longitude, heading: degrees, NaN where unknown.
        time: when it was taken, "" where unknown.
        problem: why it has no position, one of this module's constants; "" if it has one.
        assumed: whether north or east was assumed, because a hemisphere was named neither by a letter nor by a sign.
    """

    latitude: float = np.nan
    longitude: float = np.nan
    heading: float = np.nan
    time: str = ""
    problem: str = ""
    assumed: bool = False


def read_exif(path: Path) -> Photo:
    """Reads the position, heading and time of a photo."""
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            gps, details = exif.get_ifd(GPS_IFD), exif.get_ifd(DETAILS_IFD)
    except PILLOW_ERRORS:
        return Photo(problem=UNREADABLE)
    heading, time = _number(gps.get(DIRECTION)), str(details.get(TIME, "")).strip("\x00 ")
    if LATITUDE not in gps and LONGITUDE not in gps:
        return Photo(heading=heading, time=time, problem=NO_GPS)
    latitude, guessed = _signed(gps.get(LATITUDE), gps.get(LATITUDE_REF), "NS")
    longitude, guessed_too = _signed(gps.get(LONGITUDE), gps.get(LONGITUDE_REF), "EW")
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return Photo(heading=heading, time=time, problem=DAMAGED)
    if latitude == longitude == 0:  # what phones write that are told to hide where they are
        return Photo(heading=heading, time=time, problem=ZERO)
    return Photo(latitude, longitude, heading, time, assumed=guessed or guessed_too)


def _signed(value: object, reference: object, letters: str) -> tuple[float, bool]:
    """Returns signed degrees, NaN where damaged, and whether the hemisphere had to be assumed.

    Args:
        value: one to three numbers: degrees, minutes and seconds. A sign belongs to all of them.
        reference: names the hemisphere.
        letters: letters of the positive and the negative hemisphere.
    """
    parts = [_number(part) for part in (value if isinstance(value, tuple) else (value,))]
    given = len(parts)
    while len(parts) > 1 and np.isnan(parts[-1]):
        parts.pop()
    # 48, 51.17, 0/0 are decimal minutes; 48, 51, 0/0 have lost their seconds and are a mile wide.
    lost = len(parts) < given and parts[-1].is_integer()
    letter = _letter(reference)
    if lost or len(parts) > 3 or np.isnan(parts).any() or np.abs(parts[1:]).max(initial=0) > 60:
        return np.nan, False
    if letter and letter not in letters:
        return np.nan, False
    negative = letter == letters[1] or min(parts) < 0
    size = sum(abs(part) / 60**power for power, part in enumerate(parts))
    return -size if negative else size, not (letter or negative or size == 0)


def _letter(reference: object) -> str:
    """Returns the first letter of a hemisphere in upper case, "" if there is none, "?" if it is no word."""
    if isinstance(reference, tuple | list) and all(isinstance(code, int) and 0 <= code < 256 for code in reference):
        reference = bytes(reference)
    text = reference.decode("latin-1") if isinstance(reference, bytes) else str("" if reference is None else reference)
    text = text.replace("\x00", "").strip().upper()
    if not text:
        return ""
    return text[0] if text.isalpha() and text not in NO_WORDS else "?"


def _number(value: object) -> float:
    """Returns a finite number, NaN for anything else."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return np.nan
    return number if np.isfinite(number) else np.nan
