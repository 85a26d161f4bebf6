"""Writes demo data sets once, whole or not at all, in several processes."""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from commons.errors import PlacewiseError
from commons.files import remove_abandoned

MARKER = "demo.json"


def write_once(folder: Path, wanted: dict[str, str | int], what: str, write: Callable[[Path], dict]) -> Path:
    """Fills a folder, unless that has been done.

    Args:
        folder: folder to create.
        wanted: goes into the marker file and says what the folder must hold.
        what: "city" or "country", for messages.
        write: fills an empty folder and returns what else the marker says.

    Returns:
        `folder`.

    Raises:
        PlacewiseError: if the folder holds anything else.
    """
    if _is_complete(folder, wanted, what):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder.parent, f".{folder.name}-????????")
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        unfinished = Path(temporary, folder.name)
        unfinished.mkdir()
        marker = wanted | write(unfinished)
        (unfinished / MARKER).write_text(json.dumps(marker, indent=2))
        try:
            with suppress(FileNotFoundError):
                folder.rmdir()  # Windows renames onto nothing, not even an empty folder
            os.rename(unfinished, folder)
        except OSError:
            if not _is_complete(folder, wanted, what):  # by another run meanwhile
                raise
    return folder


def in_processes(function: Callable[[Any, Any], Any], state: Any, items: Iterable, workers: int | None) -> Iterator:
    """Yields function(state, item) for all items, in their order.

    Args:
        function: function of a module, so that other processes find it.
        state: goes to each process once.
        workers: processes; 1 is this one, None is one a processor.
    """
    workers = workers or os.cpu_count() or 1
    if workers == 1:
        yield from (function(state, item) for item in items)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy the caller's threads and devices
    with ProcessPoolExecutor(workers, context, _keep, (state,)) as pool:
        yield from pool.map(partial(_call, function), items, chunksize=4)


_worker: dict[str, Any] = {}


def _keep(state: Any) -> None:
    _worker["state"] = state


def _call(function: Callable[[Any, Any], Any], item: Any) -> Any:
    return function(_worker["state"], item)


def _is_complete(folder: Path, wanted: dict[str, str | int], what: str) -> bool:
    """Whether the folder holds the demo asked for; False if it is empty or missing."""
    marker = folder / MARKER
    if not marker.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise PlacewiseError(f"{folder} exists and is not a demo {what}: choose another folder, or move it away")
        return False
    found = json.loads(marker.read_text())
    if any(found.get(key) != value for key, value in wanted.items()):
        have = ", ".join(f"{key} {found.get(key)}" for key in wanted)
        raise PlacewiseError(f"{folder} contains another demo {what} ({have}): name another folder, or delete it")
    return True
