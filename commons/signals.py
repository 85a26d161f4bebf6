"""Stopping a run from outside without losing work."""

import math
import multiprocessing
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PATIENCE = 2.0


class StopSignal:
    """Turns SIGINT and SIGTERM into a request that the training loop meets at a safe point.

    Inside `deferred()` a signal only sets `requested`; elsewhere, and at a second signal, it raises KeyboardInterrupt.
    Signals that follow at once count as one: a launcher and a scheduler may both send theirs.
    """

    def __init__(self) -> None:
        self.requested = False
        self._deferring = False
        self._first = -math.inf
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._first < PATIENCE:
            return
        self._first = now
        if self.requested or not self._deferring:
            raise KeyboardInterrupt
        self.requested = True

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """While this is open, a signal waits for the loop to look at `requested`."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False


def leave_signals_to_parent() -> None:
    """For worker processes: a signal to the whole group is the main process's business; they end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def end_workers() -> None:
    """Ends worker processes that an error left behind: Python would send them SIGTERM and wait for ever."""
    workers = multiprocessing.active_children()
    if workers and hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would report their end as a failure
    for worker in workers:
        worker.kill()
