"""One worker, and a bounded number of photos that it is asked for."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

Result = TypeVar("Result")


class Busy(Exception):
    """All places are taken."""


class Late(Exception):
    """The answer was not there in time."""


class Jobs:
    """Runs functions one after the other in a thread of its own.

    A place is taken before an upload is read, so that uploads take at most `places` times the largest one in memory:

        with jobs.place():
            data = await ...
            answer = await jobs.run(function, data)
    """

    def __init__(self, places: int, timeout: float) -> None:
        """Args:
        places: jobs that run, wait or are about to, at most.
        timeout: seconds until an answer is given up.
        """
        self.places, self.timeout, self.taken = places, timeout, 0
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="jobs")

    def place(self) -> "_Place":
        """Takes a place until the end of the context.

        Raises:
            Busy: if there is none.
        """
        return _Place(self)

    async def run(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Runs a function in its turn; one whose turn has not come in time is not run any more.

        The caller must hold a place. The place of a function that still runs at the end of its time is free again only
        when it returns.

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
        """Ends the worker after what it is doing."""
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
