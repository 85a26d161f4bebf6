import threading
import time

import pytest

from commons.threads import in_threads


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_come_in_order(threads: int):
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number**2

    assert list(in_threads(work, range(20), threads)) == [number**2 for number in range(20)]


def test_work_is_shared_and_does_not_run_ahead():
    started, names = [], set()

    def work(number: int) -> int:
        started.append(number)
        names.add(threading.current_thread().name)
        time.sleep(0.01)
        return number

    results = in_threads(work, range(1000), 2)
    next(results)
    time.sleep(0.1)
    assert len(started) <= 6 and len(names) == 2
    results.close()
    time.sleep(0.05)
    assert len(started) <= 8


def test_an_error_is_raised_when_its_turn_comes():
    results = in_threads(lambda number: 1 // (2 - number), range(5), 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
