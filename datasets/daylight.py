"""Whether photos were taken by day or at night, as far as their names and times tell."""

import re
from datetime import datetime

import numpy as np

from datasets.places import Places

DAY, NIGHT, UNKNOWN = "day", "night", ""
NOTE = 14  # field of a name by the SF-XL convention
WORDS = {"day": DAY, "sunny": DAY, "overcast": DAY, "rain": DAY, "fog": DAY, "snow": DAY, "night": NIGHT}
CLOCK_ERROR = 2.0  # hours between the time of a clock and that of the sun, at most
TWILIGHT = -6.0  # degrees


def daylight(places: Places) -> np.ndarray:
    """Returns "day", "night" or "" (unknown, dawn and dusk) for each photo, (n,).

    The note in a name counts where it begins with one of WORDS, as in the demo. Otherwise, the time counts where it has
    an hour, as that of EXIF: the sun is up, or far below the horizon, from CLOCK_ERROR before to CLOCK_ERROR after it.
    A time zone is not known, but clocks differ from the sun by less than that almost everywhere.
    """
    found = []
    for name, time, latitude in zip(
        places.names.to_pylist(), places.timestamp.to_pylist(), places.latitude.tolist(), strict=True
    ):
        found.append(_of_note(name) or _of_time(time, latitude))
    return np.array(found, dtype=object)


def _of_note(name: str) -> str:
    fields = name.rpartition("/")[2].split("@")
    word = re.match("[a-z]*", fields[NOTE].lower()).group() if len(fields) > NOTE else ""
    return WORDS.get(word, UNKNOWN)


def _of_time(time: str, latitude: float) -> str:
    try:
        taken = datetime.strptime(time, "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return UNKNOWN
    hour = taken.hour + taken.minute / 60
    heights = sun_height(taken.timetuple().tm_yday, hour + np.array([-CLOCK_ERROR, 0, CLOCK_ERROR]), latitude)
    if (heights > 0).all():
        return DAY
    return NIGHT if (heights < TWILIGHT).all() else UNKNOWN


def sun_height(day: int, hour: np.ndarray, latitude: float) -> np.ndarray:
    """Returns the angle of the sun above the horizon in degrees, to about half a degree.

        sin height = sin latitude sin declination + cos latitude cos declination cos(15 degrees (hour - 12))
        declination = -23.44 degrees cos(360 degrees (day + 10) / 365)

    Args:
        day: day of the year, from 1.
        hour: hour in solar time, in which the sun is highest at noon, (h,).
        latitude: degrees.
    """
    phi, turn = np.radians(latitude), np.radians(15 * (hour - 12))
    tilt = np.radians(-23.44 * np.cos(2 * np.pi * (day + 10) / 365))
    return np.degrees(np.arcsin(np.sin(phi) * np.sin(tilt) + np.cos(phi) * np.cos(tilt) * np.cos(turn)))
