import os
import signal

import pytest

from commons import signals
from commons.signals import StopSignal


@pytest.fixture(autouse=True)
def handlers():
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
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
