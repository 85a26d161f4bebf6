"""Folders that one process at a time may write to.

A claimed folder holds a lock file. The operating system releases the lock when its process ends, even if it is killed.
"""

import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from commons.errors import ArgumentError

FILE = ".in_use"
TRIES, PAUSE = 100, 0.01  # how often, after how many seconds, the owner of a lock is asked for its name


@dataclass(frozen=True)
class Claim:
    """A folder that this process may write to.

    Attributes:
        folder: the folder.
        made: folders that did not exist before, the innermost first.
        lock: lock that this process holds.
        process: ID of this process.
    """

    folder: Path
    made: tuple[Path, ...]
    lock: BaseFileLock
    process: int

    def release(self) -> None:
        """Releases the folder and removes the folders that the claim made if they are empty. No effect in children."""
        if os.getpid() != self.process or not self.lock.is_locked:
            return
        file = self.folder / FILE
        with suppress(OSError):  # Windows cannot remove an open file
            file.unlink()  # while locked, so that processes that have opened it are refused
        self.lock.release()
        if os.name == "nt":
            file.unlink(missing_ok=True)
        for folder in self.made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


def claim(folder: Path, resuming: bool = False, new: bool = False, parameter: str = "output_folder") -> Claim:
    """Makes a folder and claims it.

    Args:
        folder: folder, which may exist.
        resuming: whether the run in the folder is resumed; changes the error message.
        new: whether the folder must not exist yet.
        parameter: parameter that names the folder, for the error message.

    Raises:
        ArgumentError: if another process has claimed it.
        FileExistsError: if the folder exists and `new` is set.
        OSError: if the folder cannot be written.
    """
    made: dict[Path, None] = {}
    while True:
        made |= dict.fromkeys(path for path in (folder, *folder.parents) if not path.exists())
        with suppress(FileNotFoundError):  # another process has just removed its empty folder
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(exist_ok=not new)
            lock = FileLock(folder / FILE)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                raise _refusal(folder, resuming, parameter) from None
            if (folder / FILE).exists():
                (folder / FILE).write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
                return Claim(folder, tuple(made), lock, os.getpid())
            lock.release()  # the last owner has removed this file


def _refusal(folder: Path, resuming: bool, parameter: str) -> ArgumentError:
    with suppress(OSError):
        owner = _owner(folder / FILE)
        by = f" ({owner})" if owner else ""
        if resuming:
            return ArgumentError("resume_train", f"{folder} is in use by another run{by}; wait until it ends")
        return ArgumentError(
            parameter, f"{folder} is in use by another run{by}; name another folder, or wait until it ends"
        )
    return ArgumentError(parameter, f"{folder} is in use by another run; name another folder")


def _owner(file: Path) -> str:
    """Returns what the owner of a lock has written into its file; it may just have taken the lock. "" for nothing."""
    for _ in range(TRIES):
        if owner := file.read_text(encoding="utf-8"):
            return owner
        time.sleep(PAUSE)
    return ""
