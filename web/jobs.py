"""One worker with a bounded queue."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

Result = TypeVar("Result")


class Busy(Exception):
    """All places are taken."""


class Late(Exception):
    """The answer was not ready in time."""


class Jobs:
    """Runs functions one after the other in a separate thread.

    A place is taken before an upload is read, so uploads need at most `places` times the maximum upload size in memory:

        with jobs.place():
            data = await ...
            answer = await jobs.run(function, data)
    """

    def __init__(self, places: int, timeout: float) -> None:
        """Args:
        places: maximum number of jobs that run, wait or are about to.
        timeout: seconds after which a job is abandoned.
        """
        self.places, self.timeout, self.taken = places, timeout, 0
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="jobs")

    def place(self) -> "_Place":
        """Takes a place for the duration of the context.

        Raises:
            Busy: if there is none.
        """
        return _Place(self)

    async def run(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Runs a function when its turn comes; a function whose turn does not come in time is never run.

        The caller must hold a place. The place of a function that exceeds its time is freed only when the function
        returns.

        Raises:
            Late: after `timeout` seconds.
        """
        future = self._worker.submit(function, *arguments)
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), self.timeout)
        except TimeoutError:
            raise Late from None
        finally:
            if not future.cancel() and not future.done():
                self.taken += 1
                loop = asyncio.get_running_loop()
                future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))

    def close(self) -> None:
        """Stops the worker after its current job."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _leave(self) -> None:
        self.taken -= 1


class _Place:
    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs

    def __enter__(self) -> None:
        if self.jobs.taken >= self.jobs.places:
            raise Busy
        self.jobs.taken += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.jobs.taken -= 1
