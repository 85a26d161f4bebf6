import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from accelerate import Accelerator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from commons.errors import ArgumentError, PlacewiseError
from commons.trackers import check_trackers, start_trackers

ROW = {"loss": 1.5, "val_R@1": 50.0}


@pytest.fixture
def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A stand-in for the package wandb, which keeps what it is given."""
    kept = SimpleNamespace(settings={}, rows=[], finished=False, failure=None)

    class Run:
        def log(self, values: dict, step: int | None = None) -> None:
            kept.rows.append((step, values))

        def finish(self) -> None:
            kept.finished = True

    def init(**settings: object) -> Run:
        if kept.failure:
            raise kept.failure
        kept.settings = settings
        return Run()

    module = ModuleType("wandb")
    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    return kept


def test_tensorboard_lies_in_the_runs_folder(accelerator: Accelerator, tmp_path: Path) -> None:
    start_trackers(accelerator, ["tensorboard"], tmp_path / "run", {}, "id", 0)
    accelerator.log(ROW, 3)
    accelerator.end_training()
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    assert sorted(events.Tags()["scalars"]) == ["loss", "val_R@1"]
    assert [(event.step, event.value) for event in events.Scalars("val_R@1")] == [(3, 50.0)]


def test_wandb_goes_on_under_its_id(accelerator: Accelerator, wandb: SimpleNamespace, tmp_path: Path) -> None:
    folder = tmp_path / "exp" / "run"
    start_trackers(accelerator, ["wandb"], folder, {"lr": 0.1}, "abc", 2)
    accelerator.log(ROW, 2)
    accelerator.end_training()
    assert wandb.settings == {
        "project": "placewise", "name": "exp/run", "dir": str(folder),
        "id": "abc", "resume": "allow", "config": {"lr": 0.1},
    }  # fmt: skip
    assert wandb.rows == [(2, ROW)] and wandb.finished


def test_wandb_that_does_not_start_ends_in_one_line(
    accelerator: Accelerator, wandb: SimpleNamespace, tmp_path: Path
) -> None:
    wandb.failure = type("ArgumentError", (Exception,), {"__module__": "wandb.errors"})("api_key not configured\nmore")
    with pytest.raises(PlacewiseError, match="`trackers` wandb: api_key not configured; run wandb login"):
        start_trackers(accelerator, ["wandb"], tmp_path, {}, "abc", 0)


def test_none_logs_nowhere(accelerator: Accelerator, tmp_path: Path) -> None:
    start_trackers(accelerator, [], tmp_path, {}, "abc", 0)
    accelerator.log(ROW, 0)
    assert not list(tmp_path.iterdir())


def test_names_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    check_trackers(["tensorboard"])
    with pytest.raises(ArgumentError, match="`trackers`: tensorbord is unknown .*did you mean tensorboard?"):
        check_trackers(["tensorbord"])
    monkeypatch.setattr("commons.trackers.find_spec", lambda name: None)
    with pytest.raises(ArgumentError, match="`trackers`: wandb is not installed: pip install wandb"):
        check_trackers(["wandb"])
