from pathlib import Path

from flags.tools import parse_lr_range_settings, parse_tune_settings
from flags.tools.tune import split
from tests.flags.parsing import refused


def test_what_follows_two_dashes_belongs_to_train():
    assert split(["--trials", "3", "--", "--lr", "1", "--"]) == (["--trials", "3"], ["--lr", "1", "--"])
    assert split(["--trials", "3"]) == (["--trials", "3"], [])


def test_tune():
    settings, train = parse_tune_settings(
        ["--search", "lr=1e-5:1e-3:log", "optimizer=adam,sgd", "--trials", "3", "--", "--dataset_folder", "x"]
    )
    assert settings.search == [("lr", "1e-5:1e-3:log"), ("optimizer", "adam,sgd")]
    assert (settings.trials, settings.startup_trials, settings.output) == (3, 5, "logs/tune/default")
    assert train == ["--dataset_folder", "x"]


def test_mistakes_of_tune(tmp_path: Path):
    for flags, words in [
        ([], "--search is missing"),
        (["--search", "lr"], "'lr' is not of the form FLAG=LOW:HIGH"),
        (["--search", "lr=1,2", "lr=3,4"], "--search: lr is given twice"),
        (["--search", "lr=1,2", "--", "--lr", "3"], "--lr: is searched"),
        (["--search", "lr=1,2", "--", "--output_folder=x"], "--output_folder: belongs to each trial"),
        (["--search", "save_dir=a,b"], "--save_dir: belongs to each trial"),
        (["--search", "lr=1,2", "--trials", "0"], "must be 1 or more"),
        (["--search", "lr=1,2", "--dataset_folder", "demo"], "unrecognized arguments: --dataset_folder"),
    ]:
        with refused(words):
            parse_tune_settings(flags)


def test_lr_range(tmp_path: Path):
    settings, train = parse_lr_range_settings(["--highest", "0.1", "--iterations", "50", "--", "--lr", "3"])
    assert (settings.lowest, settings.highest, settings.iterations, settings.output) == (1e-7, 0.1, 50, "lr_range.png")
    assert train == ["--lr", "3"]
    (tmp_path / "a.png").mkdir()
    for flags, words in [
        (["--lowest", "1"], "--lowest 1 must be below --highest 1"),
        (["--iterations", "9"], "must be 10 or more"),
        (["--output", "a.jpg"], "ends in .png"),
        (["--output", str(tmp_path / "a.png")], "ends in .png"),
        (["--", "--resume_train", "x"], "--resume_train: the range test begins with a new network"),
    ]:
        with refused(words):
            parse_lr_range_settings(flags)
