"""Signals that stop a run without losing work."""

import math
import multiprocessing
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PATIENCE = 2.0


class StopSignal:
    """Handles SIGINT and SIGTERM, so that the training loop can stop at a safe point.

    Inside `deferred()` a signal only sets `requested`. Outside of it, and at a second signal, it raises
    KeyboardInterrupt. Further signals within two seconds are ignored, because a launcher and a scheduler may both send
    one.
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
        """Within this context, a signal only sets `requested`."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False


def leave_signals_to_parent() -> None:
    """Ignores SIGINT and SIGTERM in a worker process, which ends together with the main process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def end_workers() -> None:
    """Kills worker processes that are left after an error, because Python would send SIGTERM and wait without end."""
    workers = multiprocessing.active_children()
    if workers and hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # the handler of PyTorch would report their end as a failure
    for worker in workers:
        worker.kill()
