import pytest

from commons.trackers import TRACKERS
from flags import values
from flags.run import LoaderSettings, TrainRun
from tests.flags.parsing import evaluation, train


def test_use_amp16_is_an_alias():
    assert train("--precision", "fp32", "--use_amp16").precision == "auto"
    assert evaluation("--use_amp16", "--precision", "fp16").precision == "fp16"


def test_there_are_as_many_workers_as_cores():
    assert LoaderSettings().num_workers == values.cores() == train().num_workers
    assert train("--num_workers", "0").num_workers == 0


@pytest.mark.parametrize(
    ("text", "names"), [("none", []), ("tensorboard", ["tensorboard"]), ("wandb,tensorboard", ["wandb", "tensorboard"])]
)
def test_trackers(monkeypatch: pytest.MonkeyPatch, text: str, names: list[str]):
    monkeypatch.setattr("commons.trackers.find_spec", lambda name: name)  # as if all were installed
    assert train("--trackers", text).trackers == names
    assert set(names) <= set(TRACKERS) and TrainRun().trackers == ["tensorboard"]
