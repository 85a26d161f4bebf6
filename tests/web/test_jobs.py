"""The queue in front of the network."""

import asyncio
import threading
import time

import pytest

from web.jobs import Busy, Jobs, Late


async def ask(jobs: Jobs, function, *arguments):
    with jobs.place():
        return await jobs.run(function, *arguments)


def test_functions_run_one_after_the_other_in_their_order():
    running, order = [], []

    def job(number: int) -> int:
        running.append(number)
        assert len(running) == 1
        time.sleep(0.01)
        order.append(running.pop())
        return number * 2

    async def main():
        jobs = Jobs(5, 10)
        assert await asyncio.gather(*(ask(jobs, job, number) for number in range(5))) == [0, 2, 4, 6, 8]
        assert order == [0, 1, 2, 3, 4] and jobs.taken == 0

    asyncio.run(main())


def test_more_than_the_places_are_busy():
    async def main():
        jobs = Jobs(3, 10)
        found = await asyncio.gather(*(ask(jobs, time.sleep, 0.05) for _ in range(8)), return_exceptions=True)
        assert found[:3] == [None] * 3 and all(isinstance(own, Busy) for own in found[3:])
        assert await ask(jobs, lambda: "again") == "again"

    asyncio.run(main())


def test_a_function_whose_turn_comes_too_late_is_not_run_and_one_that_still_runs_keeps_its_place():
    done, ran = threading.Event(), []

    async def main():
        jobs = Jobs(2, 0.1)
        found = await asyncio.gather(ask(jobs, done.wait, 20), ask(jobs, ran.append, "second"), return_exceptions=True)
        assert all(isinstance(own, Late) for own in found)
        assert jobs.taken == 1
        done.set()
        assert await ask(jobs, lambda: "third") == "third"
        await asyncio.sleep(0)
        assert jobs.taken == 0 and ran == []

    asyncio.run(main())


def test_errors_arrive_and_leave_no_place_taken():
    async def main():
        jobs = Jobs(1, 10)
        with pytest.raises(ZeroDivisionError):
            await ask(jobs, lambda: 1 / 0)
        assert jobs.taken == 0

    asyncio.run(main())
