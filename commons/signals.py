"""Stopping a run from outside without losing work."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopSignal:
    """Turns SIGINT and SIGTERM into a request that the training loop meets at a safe point.

    Inside `deferred()` a signal only sets `requested`; elsewhere, and at the second signal, it raises
    KeyboardInterrupt.
    """

    def __init__(self) -> None:
        self.requested = False
        self._deferring = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
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
    """For worker processes: Ctrl-C is the main process's business, SIGTERM ends the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
