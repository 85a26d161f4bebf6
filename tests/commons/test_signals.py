import multiprocessing
import os
import signal
import time

import pytest

from commons import signals
from commons.errors import PlacewiseError, stopping_tells
from commons.signals import StopSignal, end_workers, leave_signals_to_parent


@pytest.fixture(autouse=True)
def handlers():
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)}
    yield
    for number, handler in old.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_deferred_signal_only_asks_and_its_echo_counts_as_one(number: int, monkeypatch: pytest.MonkeyPatch):
    stop = StopSignal()
    with stop.deferred():
        os.kill(os.getpid(), number)
        assert stop.requested
        os.kill(os.getpid(), number)
        monkeypatch.setattr(signals, "PATIENCE", 0.0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_signal_outside_interrupts_at_once():
    StopSignal()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)  # an echo, which would meet the cleaning up


def test_a_run_that_was_saved_says_how_to_go_on():
    StopSignal()
    with pytest.raises(PlacewiseError, match="--resume_train a.pth"), stopping_tells("a.pth"):
        os.kill(os.getpid(), signal.SIGTERM)


def _work(started: multiprocessing.Event) -> None:
    leave_signals_to_parent()
    started.set()
    time.sleep(60)


def test_workers_end_with_the_run_though_they_leave_signals_to_it():
    started = multiprocessing.Event()
    worker = multiprocessing.Process(target=_work, args=(started,))
    worker.start()
    started.wait()
    worker.terminate()
    worker.join(0.2)
    assert worker.is_alive()
    end_workers()
    worker.join(10)
    assert worker.exitcode == -signal.SIGKILL
