"""Room on the disk, and what is said when there is none."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commons.errors import PlacewiseError


def size_text(size: int) -> str:
    """Returns a number of bytes for people, such as 1.2 GB."""
    value, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.{0 if units[0] == 'B' or value >= 100 else 1}f} {units[0]}"


def check_room(folder: Path, size: int, what: str) -> None:
    """Raises PlacewiseError if the disk of a folder has less than `size` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise PlacewiseError(
            f"`folder`: {folder} has {size_text(free)} left, and {what} need {size_text(size)}; free some space or "
            "name another folder"
        )


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Within this context, a full disk is one clear line."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise PlacewiseError(
            f"`folder`: the disk is full while {path} is written; free some space and start the same command again"
        ) from error
