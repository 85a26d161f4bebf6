"""Folders that one process at a time may write to.

A claimed folder holds a file that names its process. The file is created with O_EXCL, so of several processes that are
started together exactly one gets the folder. What a killed process left behind does not keep others out.
"""

import json
import os
import socket
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from commons.errors import ArgumentError

FILE = ".in_use"
GUARD = ".in_use-removal"
PATIENCE = 5.0  # seconds to wait for a process that is writing its file
ABANDONED = 60.0  # seconds after which a guard is that of a killed process


@dataclass(frozen=True)
class Owner:
    """A process.

    Attributes:
        process: its number.
        started: tells it from other processes of that number; "" where the system does not say.
        host: where it runs.
        namespace: of the process numbers, which containers have of their own; "" where the system does not say.
        token: of the claim.
    """

    process: int
    started: str
    host: str
    namespace: str
    token: str = ""

    def is_dead(self) -> bool:
        """Returns whether the process has ended. Of other machines and containers that is not known: False."""
        own = this_process()
        if (self.host, self.namespace) != (own.host, own.namespace):
            return False
        try:
            if psutil.Process(self.process).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False
        started = _started(self.process)
        return bool(started and self.started) and started != self.started


def this_process(token: str = "") -> Owner:
    """Returns the process that calls."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return Owner(os.getpid(), _started(os.getpid()), socket.gethostname(), namespace, token)


@dataclass(frozen=True)
class Claim:
    """A folder that this process may write to.

    Attributes:
        folder: the folder.
        made: folders that did not exist before, the innermost first.
        owner: this process.
    """

    folder: Path
    made: tuple[Path, ...]
    owner: Owner

    def release(self) -> None:
        """Gives the folder back, and removes what the claim made if it is still empty.

        Does nothing in child processes, or once another process has the folder.
        """
        if os.getpid() != self.owner.process:
            return
        file = self.folder / FILE
        if _read(file) == self.owner:
            file.unlink(missing_ok=True)
        for folder in self.made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


def claim(folder: Path, resuming: bool = False, new: bool = False) -> Claim:
    """Makes a folder and claims it.

    Args:
        folder: that exists or not.
        resuming: whether the run of the folder is to go on, which the message depends on.
        new: whether the folder must not exist yet.

    Raises:
        ArgumentError: if another process has claimed it.
        FileExistsError: if it is to be new and is not.
        OSError: if it cannot be written.
    """
    owner = this_process(token=uuid.uuid4().hex)
    file, made = folder / FILE, {}
    deadline = time.monotonic() + PATIENCE
    while True:
        made |= dict.fromkeys(path for path in (folder, *folder.parents) if not path.exists())
        with suppress(FileNotFoundError):  # another process has just removed its empty folder, or its file
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(exist_ok=not new)
            try:
                _create(file, json.dumps(vars(owner)))
                return Claim(folder, tuple(made), owner)
            except FileExistsError:
                other = _read(file)
            if other is not None and not other.is_dead():
                raise _refusal(folder, other, resuming)
            if other is not None:
                _remove_stale(file)
        if time.monotonic() > deadline:
            raise _refusal(folder, _read(file), resuming)
        time.sleep(0.01)


def _remove_stale(file: Path) -> None:
    """Removes the file of a dead process.

    Only the process that has created the guard may do so: otherwise two could find the same dead process, and the
    second would remove the file that the first has written since.
    """
    guard = file.with_name(GUARD)
    with suppress(FileNotFoundError):
        if time.time() - guard.stat().st_mtime > ABANDONED:
            guard.unlink()
    try:
        _create(guard, "")
    except FileExistsError:
        return
    try:
        other = _read(file)
        if other is not None and other.is_dead():
            file.unlink()
    finally:
        guard.unlink(missing_ok=True)


def _refusal(folder: Path, other: Owner | None, resuming: bool) -> ArgumentError:
    own = this_process()
    by = "" if other is None else f" (process {other.process} on {other.host})"
    known = other is not None and (other.host, other.namespace) == (own.host, own.namespace)
    out = "wait until it has ended" if known else f"delete {folder / FILE} if it has ended"
    if resuming:
        return ArgumentError("resume_train", f"{folder} is in use by another run{by}; {out}")
    return ArgumentError("output_folder", f"{folder} is in use by another run{by}; name another folder, or {out}")


def _create(file: Path, text: str) -> None:
    """Writes a file that must not exist yet."""
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        os.write(handle, text.encode())
    except OSError:
        file.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _read(file: Path) -> Owner | None:
    """Returns whose file it is; None while it is being written, or if it cannot be read."""
    try:
        return Owner(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _started(process: int) -> str:
    """Returns when a process started, in ticks since the machine did: unlike a time of day it cannot be adjusted."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return fields[19]
    except (OSError, IndexError):
        return ""
