"""Atomic writing of files, so that readers never see an incomplete file."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from commons.errors import PlacewiseError

CACHE = Path(__file__).parents[1] / "cache"
ABANDONED = 3_600  # a temporary file or folder without a change for so many seconds is abandoned


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path in the folder of `path`; renames it to `path` on success and removes it on any error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with suppress(OSError):  # vfat and some network disks have no permissions
            temporary.chmod(0o666 & ~_umask())  # here, because some writers replace the file
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_abandoned(folder: Path, pattern: str) -> None:
    """Removes temporary files and folders of killed runs in a folder, whose names match a glob pattern."""
    for left in folder.glob(pattern):
        with suppress(OSError):  # another run removed it first
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()


def check_writable(folder: Path, parameter: str) -> None:
    """Raises PlacewiseError, which names `parameter`, if a folder cannot be written to.

    The folder may not exist yet. Nothing is created.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise PlacewiseError(f"`{parameter}`: {folder} cannot be written ({there} is a file); name another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        why = f"no permission for {there}"
        raise PlacewiseError(f"`{parameter}`: {folder} cannot be written ({why}); name another folder")


def write_text(path: str | Path, text: str) -> None:
    """Writes `text` in UTF-8 to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
