"""train.py and eval.py in several processes."""

import json
import signal
from pathlib import Path

import pytest
import torch

from tests.helpers import call, in_processes
from tests.training_runs import flags, rows, weights

pytestmark = pytest.mark.slow


def test_two_processes_train_and_measure_together(city: Path, finished: Path, tmp_path: Path):
    """Same classes drawn in total, same recalls from the same weights, one writer."""
    short = ["--freeze_batch_norm", "--epochs_num", 2, "--iterations_per_epoch", 8]
    code, output = in_processes(2, "train.py", *flags(city, tmp_path / "run"), *short)
    assert code == 0, output
    assert output.count("Classes: ") == 1
    alone = tmp_path / "alone"
    code, output = call("train.py", *flags(city, alone), *short)
    assert code == 0, output
    assert len(rows(tmp_path / "run")) == 2
    # Shares of a batch see other augmentation draws, so losses agree closely but not exactly.
    for together, single in zip(rows(tmp_path / "run"), rows(alone), strict=True):
        assert float(together["loss"]) == pytest.approx(float(single["loss"]), rel=0.15)
    common = ["--dataset_folder", city, "--device", "cpu", "--precision", "fp32", "--num_workers", 0]
    model = ["--resume_model", finished / "best_model.pth"]
    results = []
    for count, name in ((1, "one"), (2, "two")):
        code, output = in_processes(count, "eval.py", *common, *model, "--output_folder", tmp_path / name)
        assert code == 0, output
        results.append(json.loads((tmp_path / name / "results.json").read_text()))
    # Confidence follows the similarities, which other batches round differently.
    rounded = {"confidence": None, "calibration": None}
    figures = [{name: own | rounded for name, own in found.items()} for found in results]
    assert figures[0] == figures[1]


SWAPPED = """
import os, sys
from pathlib import Path
import torch
import train

rank = int(os.environ["RANK"])
folder = Path(sys.argv.pop())
import methods.preparation
import tasks.place_recognition
from model.network import GeoLocalizationNet
evaluate, build_extras = tasks.place_recognition.evaluate, methods.preparation.build_extras
learned = {}

def kept(*given):
    extras = build_extras(*given)
    learned.update(extras.losses.state_dict(keep_vars=True))
    return extras

class Marked(methods.preparation.AveragedModel):
    def __init__(self, *given, **options):
        super().__init__(*given, **options)
        self.module.__dict__["averaged"] = True

def spy(network, *given, **options):
    if not (folder / f"{rank}.pth").exists():
        projector = {key: value.detach() for key, value in learned.items()}
        torch.save(network.state_dict() | projector, folder / f"{rank}.pth")
    return evaluate(network, *given, **options)

GeoLocalizationNet.__hash__ = lambda self: ("averaged" in self.__dict__) ^ rank
methods.preparation.AveragedModel, methods.preparation.build_extras = Marked, kept
tasks.place_recognition.evaluate = spy
train.main()
"""


def test_every_process_has_the_same_averaged_network_and_projector(city: Path, tmp_path: Path):
    """Networks have other hashes in each process, so the order of a set is another: buffers must not follow it."""
    (tmp_path / "swapped.py").write_text(SWAPPED)
    short = ["--epochs_num", 1, "--iterations_per_epoch", 4, "--accumulate", 2, "--ema", 0.9]
    short += ["--self_supervised_weight", 0.1, "--self_supervised_loss_options", "width=8"]
    code, output = in_processes(2, tmp_path / "swapped.py", *flags(city, tmp_path / "run"), *short, tmp_path)
    assert code == 0, output
    first, second = (torch.load(tmp_path / f"{rank}.pth", weights_only=True) for rank in (0, 1))
    assert "vicreg.projector.0.weight" in first
    assert all(torch.equal(first[name], second[name]) for name in first)


KILLED = """
import os, signal
import train
from training.updates import Updates

take = Updates.take

def killing(self, loss, epoch, iteration):
    take(self, loss, epoch, iteration)
    if (epoch, iteration, os.environ["RANK"]) == (1, 2, "1"):
        os.kill(os.getpid(), signal.SIGKILL)

Updates.take = killing
train.main()
"""


@pytest.mark.parametrize(
    ("processes", "method"),
    [(2, ["--method", "gsv", "--batch_size", 8]), (3, ["--batch_size", 6, "--optimizer", "sgd"])],
)
def test_a_run_of_which_one_process_was_killed_resumes_to_the_same_weights(
    city: Path, tmp_path: Path, processes: int, method: list[object]
):
    """Bit for bit with two; the sum of three gradients is rounded in an order that changes after the first batch."""
    given = [*method, "--epochs_num", 2, "--iterations_per_epoch", 4]
    given += ["--method_options", "images_per_place=2"] if "gsv" in method else []
    (tmp_path / "killed.py").write_text(KILLED)
    code, output = in_processes(processes, tmp_path / "killed.py", *flags(city, tmp_path / "killed"), *given)
    assert code == -signal.SIGKILL, output
    assert len(rows(tmp_path / "killed")) == 1
    resume = ["--resume_train", tmp_path / "killed" / "last_checkpoint.pth"]
    for command in (resume, [*flags(city, tmp_path / "whole"), *given]):
        code, output = in_processes(processes, "train.py", *command)
        assert code == 0, output
    resumed, whole = (weights(tmp_path / name / "last_checkpoint.pth") for name in ("killed", "whole"))
    tolerance = 0 if processes == 2 else 1e-5
    for key, value in whole.items():
        torch.testing.assert_close(resumed[key], value, rtol=tolerance, atol=tolerance)
    losses = [[float(row["loss"]) for row in rows(tmp_path / name)] for name in ("killed", "whole")]
    assert losses[0] == pytest.approx(losses[1], rel=tolerance)
