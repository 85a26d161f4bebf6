from dataclasses import replace
from pathlib import Path

import pytest

from metrics.metric import Metric
from reports.comparison import (
    Cell,
    Configuration,
    compare_runs,
    differing,
    figure_names,
    main_metric,
    main_test_set,
    test_sets,
)
from reports.run_folders import Run

R1 = ("x/test", "R@1")
RECALL, ERROR = Metric("R@1"), Metric("mean error", higher_is_better=False)


def run(folder: str, seed: int, figures: dict, model: str | None = None, **settings: object) -> Run:
    return Run(Path("logs", folder), settings, (model or folder, seed), seed, "", figures, {})


def test_seeds_become_mean_and_sample_deviation():
    """By hand: mean of 70, 72, 77 is 73; deviations -3, -1, 4; 26 / 2 = 13."""
    runs = [run(f"s{seed}", seed, {R1: value}, lr=1) for seed, value in enumerate((70.0, 72.0, 77.0))]
    (own,) = compare_runs(runs)
    assert own.cells[R1] == Cell(73.0, pytest.approx(13**0.5), 3)
    assert (own.count, own.label) == (3, "s0")


def test_a_single_value_has_no_deviation():
    (own,) = compare_runs([run("a", 0, {R1: 5.0})])
    assert own.cells[R1] == Cell(5.0, None, 1)


def test_an_evaluation_adds_to_the_row_of_its_network():
    tokyo = ("tokyo", "R@1")
    runs = [run("s0", 0, {R1: 70.0}), run("s1", 1, {R1: 72.0}), run("e", 0, {tokyo: 30.0, R1: 71.0}, model="s0")]
    (own,) = compare_runs(runs)
    assert own.count == 2
    assert own.cells[tokyo] == Cell(30.0, None, 1)
    assert own.cells[R1].mean == 71.5  # measured again: the later figure counts


def test_groups_keep_their_order_and_labels_take_the_first_setting_that_tells_them_apart():
    runs = [
        run("a", 0, {}, backbone="B", aggregation="gem", options={}),
        run("b", 0, {}, backbone="B", aggregation="boq", options={"queries": 3}),
        run("c", 1, {}, backbone="B", aggregation="gem", options={}),
    ]
    found = compare_runs(runs)
    assert [(own.label, len(own.runs)) for own in found] == [("gem", 2), ("boq", 1)]
    assert differing([own.settings for own in found]) == ["aggregation", "options"]


def labels(*settings: dict, folders: str = "abc") -> list[str]:
    runs = [run(name, 0, {}, **own) for name, own in zip(folders, settings, strict=False)]
    return [own.label for own in compare_runs(runs)]


def test_labels_of_two_settings_or_of_folders():
    assert labels({"lr": 1, "M": 5}, {"lr": 1, "M": 10}) == ["M=5", "M=10"]
    assert labels({"lr": 1, "M": 5}, {"lr": 2, "M": 5}, {"lr": 2, "M": 10}) == ["lr=1, M=5", "lr=2, M=5", "lr=2, M=10"]
    assert labels({"lr": 1}, {}) == ["a", "b"]  # nothing that both have differs
    assert labels({"lr": 1}, {"lr": 1, "i (eval.py)": 3}) == ["i (eval.py)=–", "i (eval.py)=3"]
    some = labels({"lr": 1}, {"lr": 2}, {"lr": 2, "i (eval.py)": 3})
    assert some == ["lr=1", "lr=2", "lr=2, i (eval.py)=3"]
    many = [{"a": a, "b": b, "c": c} for a, b, c in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))]
    assert labels(*many, folders="wxyz") == ["w", "x", "y", "z"]


def test_main_test_set_is_not_a_validation_set():
    def measured(*names: str) -> list[Configuration]:
        return [Configuration("", [], {}, {(name, "R@1"): Cell(1, None, 1) for name in names}, 1)]

    assert main_test_set(measured("x/val", "x/test", "y"), RECALL) == "x/test"
    assert main_test_set(measured("x/val"), RECALL) == "x/val"
    assert main_test_set(measured("x/val (queries_v1)", "x/test"), RECALL) == "x/test"
    assert main_test_set(measured("x (1)/val", "x (1)/test"), RECALL) == "x (1)/test"
    chosen_by = Run(Path("a"), {}, ("a", 0), 0, "", {}, {}, validation="data/msls")
    (own,) = measured("data/msls", "tokyo")
    assert main_test_set([replace(own, runs=[chosen_by])], RECALL) == "tokyo"
    assert main_test_set(measured(), RECALL) is None


def test_the_first_run_says_which_metric_and_test_set_to_sort_by():
    toy = replace(run("t", 0, {("toy/val", "mean error"): 2.0, ("toy/test", "mean error"): 3.0}), metric=ERROR)
    place = run("p", 0, {("x/val", "R@1"): 50.0, ("x/test", "R@1"): 60.0, ("x/test", "R@5"): 70.0}, lr=1)
    both = compare_runs([toy, place])
    assert main_metric(both) == ERROR and main_test_set(both, ERROR) == "toy/test"
    assert main_metric(both[::-1]) == RECALL and main_test_set(both, RECALL) == "x/test"
    assert test_sets(both) == ["toy/val", "toy/test", "x/val", "x/test"]
    assert figure_names(both) == ["mean error", "R@1", "R@5"]
    assert main_test_set(both, Metric("GeoScore")) is None
    assert main_metric([]) == RECALL
