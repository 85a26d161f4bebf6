import re
import sys

import pytest

from commons.errors import ArgumentError, PlacewiseError
from training import search
from training.search import Dimension


@pytest.mark.parametrize(
    ("text", "kind", "wanted"),
    [
        ("1e-5:1e-3:log", float, Dimension("x", (), 1e-5, 1e-3, log=True)),
        ("0:0.5", float, Dimension("x", (), 0.0, 0.5)),
        ("16:64", int, Dimension("x", (), 16, 64, whole=True)),
        ("16,32, 64", int, Dimension("x", ("16", "32", "64"))),
        ("adam,adamw", None, Dimension("x", ("adam", "adamw"))),
        ("betas=0.9:0.95|betas=0.9:0.99,eps=1", None, Dimension("x", ("betas=0.9:0.95", "betas=0.9:0.99,eps=1"))),
    ],
)
def test_reads_ranges_and_lists(text: str, kind: type | None, wanted: Dimension):
    assert Dimension.read("x", text, kind) == wanted


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("adam", None, "two or more different values"),
        ("1,1", int, "two or more different values"),
        ("1,", int, "two or more different values"),
        ("1:b", float, "must be numbers"),
        ("1:2.5", int, "must be whole numbers"),
        ("1:2:lin", float, "LOW:HIGH or LOW:HIGH:log"),
        ("1:2:3:log", float, "LOW:HIGH or LOW:HIGH:log"),
        ("2:1", float, "low end of a range must be below"),
        ("1:1", int, "low end of a range must be below"),
        ("nan:1", float, "low end of a range must be below"),
        ("0:1:log", float, "above 0"),
    ],
)
def test_wrong_ranges_and_lists(text: str, kind: type | None, words: str):
    with pytest.raises(ArgumentError, match=f"`search`: x={re.escape(text)}.*{words}"):
        Dimension.read("x", text, kind)


def test_values_of_a_trial_are_within_their_ranges(tmp_path):
    pytest.importorskip("optuna")
    study = search.open_study(tmp_path / "study.db", 0, 5, {})
    space = [Dimension.read(*own) for own in (("lr", "1e-5:1e-3:log", float), ("n", "2:4", int), ("name", "a,b", None))]
    drawn = [[own.suggest(trial) for own in space] for trial in (study.ask() for _ in range(20))]
    assert all(1e-5 <= float(lr) <= 1e-3 for lr, _, _ in drawn) and len({lr for lr, _, _ in drawn}) == 20
    assert sum(float(lr) < 1e-4 for lr, _, _ in drawn) > 5  # 10 of 20 on a logarithmic scale, 2 on a linear one
    assert {n for _, n, _ in drawn} == {"2", "3", "4"} and {name for _, _, name in drawn} == {"a", "b"}


def test_a_study_goes_on_with_other_draws_and_only_with_the_same_settings(tmp_path):
    pytest.importorskip("optuna")
    file, own = tmp_path / "study.db", Dimension.read("lr", "1e-5:1e-3:log", float)
    drawn = []
    for _ in range(2):
        study = search.open_study(file, 3, 5, {"backbone": "ResNet18", "sizes": (1, 2)})
        for _ in range(2):
            trial = study.ask()
            drawn.append(own.suggest(trial))
            search.end_trial(study, trial, [1.0, 3.0, 2.0], False, None)
    assert len(set(drawn)) == 4 and [trial.value for trial in search.finished(study)] == [3.0] * 4
    with pytest.raises(ArgumentError, match="`output`: .* backbone ResNet18, not ResNet50"):
        search.open_study(file, 3, 5, {"backbone": "ResNet50", "sizes": (1, 2)})


def test_an_interrupted_trial_runs_again(tmp_path):
    pytest.importorskip("optuna")
    own = Dimension.read("lr", "1e-5:1e-3:log", float)
    study = search.open_study(tmp_path / "study.db", 0, 5, {})
    value = own.suggest(study.ask())
    study = search.open_study(tmp_path / "study.db", 0, 5, {})
    (left,) = search.interrupted(study)
    search.run_again(study, left)
    assert search.interrupted(study) == search.finished(study) == []
    trial = study.ask()
    assert trial.number == 1 and own.suggest(trial) == value
    search.end_trial(study, trial, [], False, "no memory")
    assert [ended.number for ended in search.finished(study)] == [1]


def test_the_same_values_have_the_same_outcome(tmp_path):
    pytest.importorskip("optuna")
    study = search.open_study(tmp_path / "study.db", 0, 5, {})
    own, numbers = Dimension.read("name", "good,stopped,bad", None), {}
    outcomes = {"good": ([5.0], False, None), "stopped": ([], True, None), "bad": ([], False, "no memory")}
    for name in [*outcomes, *outcomes]:
        study.enqueue_trial({"name": name})
        trial = study.ask()
        assert own.suggest(trial) == name
        earlier = search.end_as_earlier(study, trial)
        assert earlier == (numbers.get(name) if name != "bad" else None)
        if earlier is None:
            search.end_trial(study, trial, *outcomes[name])
            numbers[name] = trial.number
    states = [(ended.state.name, ended.value) for ended in search.finished(study)]
    assert states == [("COMPLETE", 5.0), ("PRUNED", None), ("FAIL", None)] * 2


def test_a_file_that_is_no_study(tmp_path):
    pytest.importorskip("optuna")
    (tmp_path / "study.db").write_text("not a database, but long enough to be taken for one" * 20)
    with pytest.raises(PlacewiseError, match=r"study.db: is not a study of tools.tune"):
        search.open_study(tmp_path / "study.db", 0, 5, {})


def test_optuna_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(PlacewiseError, match="tools.tune needs Optuna: pip install optuna"):
        search.import_optuna()
