"""python -m tools.compare and its plots."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reports import comparison_plots
from reports.comparison import Cell, Configuration, compare_runs
from reports.run_folders import Run, read_run
from tests.helpers import ROOT
from tests.reports.test_run_folders import add_to_record, write_training
from tools.compare import known_settings, read_runs, save_comparison, sorted_by_metric


def results(recall: float) -> dict:
    return {"sf_xs/val": {"R@1": 90.0, "R@5": 95.0}, "sf_xs/test": {"R@1": recall, "R@5": 80.0}}


def read(folder: Path) -> Run:
    return read_run(folder, known_settings())


def write_toy(folder: Path, errors: tuple[float, float], **settings: object) -> Path:
    """A run of a task whose metric is "mean error", lower is better; the second epoch's is also the test's."""
    write_training(folder, {"toy/val": {"mean error": min(errors)}, "toy/test": {"mean error": errors[-1]}}, **settings)
    rows = [f"{epoch},{5 - epoch},10,{60 + 30 * epoch},{error}\n" for epoch, error in enumerate(errors)]
    (folder / "metrics.csv").write_text("epoch,loss,images_per_second,seconds,val_mean error\n" + "".join(rows))
    metric = {"name": "mean error", "higher_is_better": False}
    return add_to_record(folder, task="toy", main_metric=metric, figures=["mean error"])


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two seeds of one configuration and one of another."""
    made = [write_training(tmp_path / f"a{seed}", results(70.0 + 2 * seed), seed=seed, lr=0.1) for seed in (0, 1)]
    other = write_training(tmp_path / "b", results(75.0), lr=0.5)
    (other / "metrics.csv").write_text((other / "metrics.csv").read_text().replace(",60,", ",600,"))
    return [*made, other]


def test_files_and_pictures(runs: list[Path], tmp_path: Path):
    written = save_comparison(compare_runs(list(map(read, runs))), tmp_path / "out")
    assert [path.name for path in written] == [
        "compare.md", "compare.csv", "compare.tex", "recall_and_cost.png", "learning_curves.png",
    ]  # fmt: skip
    assert "71.0 ± 1.4" in (tmp_path / "out" / "compare.md").read_text()
    for picture in written[3:]:
        with Image.open(picture) as image:
            assert np.asarray(image.convert("L")).std() > 5


def test_without_differing_costs_and_epochs_no_picture_is_drawn(tmp_path: Path):
    folder = write_training(tmp_path / "a")
    (folder / "metrics.csv").unlink()
    written = save_comparison(compare_runs([read(folder)]), tmp_path / "out")
    assert [path.suffix for path in written] == [".md", ".csv", ".tex"]


def test_every_run_has_a_line_and_every_configuration_a_name(runs: list[Path], monkeypatch: pytest.MonkeyPatch):
    kept = []
    monkeypatch.setattr(comparison_plots, "save_figure", lambda figure, picture: kept.append(figure))
    comparison_plots.save_learning_curves(compare_runs(list(map(read, runs))), Path("x"))
    (figure,) = kept
    assert [len(axes.lines) for axes in figure.axes] == [3, 3]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["lr=0.1", "lr=0.5"]


def test_costs_that_differ_have_a_panel(monkeypatch: pytest.MonkeyPatch):
    kept = []
    monkeypatch.setattr(comparison_plots, "save_figure", lambda figure, picture: kept.append(figure))
    costs = ({"dimension": 64, "gflops": 1.0, "training_seconds": 60}, {"dimension": 512, "gflops": 1.01})
    configurations = []
    for label, cost, recall in zip("ab", costs, (50.0, 60.0), strict=True):
        cells = {name: Cell(value, None, 1) for name, value in cost.items()}
        configurations.append(Configuration(label, [], {}, cells | {("x", "R@1"): Cell(recall, 1.0, 2)}, 2))
    assert comparison_plots.save_cost_plot(configurations, Path("x"))
    (figure,) = kept
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_xscale()) == ("dimensions of the descriptor", "log")
    points = {line.get_label(): line.get_xydata().tolist() for line in axes.lines if line.get_label() in ("a", "b")}
    assert points == {"a": [[64, 50]], "b": [[512, 60]]}
    assert not comparison_plots.save_cost_plot(configurations[:1], Path("x"))


def test_flags_that_an_older_run_did_not_have_are_its_defaults(runs: list[Path], tmp_path: Path):
    newer = write_training(
        tmp_path / "newer", results(70.0), lr=0.1, backbone="ResNet18", epochs_num=2, layer_decay=1.0
    )
    assert "layer_decay" not in read_runs(runs)[0].settings
    older, same = read_runs([runs[0], newer])
    assert older.settings == same.settings and older.settings["layer_decay"] == 1


def test_sorting(runs: list[Path]):
    configurations = compare_runs(list(map(read, runs)))
    assert [own.label for own in sorted_by_metric(configurations)] == ["lr=0.5", "lr=0.1"]


def test_where_lower_is_better_the_lowest_comes_first(runs: list[Path], tmp_path: Path):
    toys = [write_toy(tmp_path / "t" / f"{error}", (0.5, error), lr=error) for error in (0.25, 0.125, 0.5)]
    toys.append(add_to_record(write_toy(tmp_path / "t" / "unmeasured", (1, 1), lr=3), figures=["other"]))
    (toys[-1] / "results.json").write_text('{"toy/val": {}}')
    labels = [own.label for own in sorted_by_metric(compare_runs(list(map(read, toys))))]
    assert labels == ["lr=0.125", "lr=0.25", "lr=0.5", "lr=3"]


def test_runs_of_two_tasks_in_one_table(runs: list[Path], tmp_path: Path):
    toys = [write_toy(tmp_path / "t" / f"{error}", (0.5, error), lr=error) for error in (0.25, 0.125)]
    written = save_comparison(sorted_by_metric(compare_runs(list(map(read, [*toys, *runs])))), tmp_path / "out")
    assert [path.name for path in written][3:] == ["learning_curves.png"]  # both toys cost the same
    header, _, *rows = written[0].read_text().partition("\n\n")[0].splitlines()
    assert header.startswith("| configuration | n | toy/val mean error | toy/test mean error | sf_xs/val R@1 |")
    assert [row.split(" | ")[2:5] for row in rows] == [
        ["0.125", "0.125", "–"], ["0.250", "0.250", "–"], ["–", "–", "90.0 ± 0.0"], ["–", "–", "90.0"],
    ]  # fmt: skip


def test_each_metric_has_a_panel_of_learning_curves(runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = []
    monkeypatch.setattr(comparison_plots, "save_figure", lambda figure, picture: kept.append(figure))
    toy = write_toy(tmp_path / "t", (0.5, 0.25))
    comparison_plots.save_learning_curves(compare_runs(list(map(read, [toy, *runs]))), Path("x"))
    loss, error, recall = kept[0].axes
    assert [len(axes.lines) for axes in (loss, error, recall)] == [4, 1, 3]
    assert error.lines[0].get_xydata().tolist() == [[0, 0.5], [1, 0.25]]
    assert error.get_title("left") == "Validation mean error (lower is better)"
    assert recall.get_title("left") == "Validation R@1 (%)"


def test_costs_of_another_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = []
    toys = [write_toy(tmp_path / f"{error}", (0.5, error), lr=error) for error in (0.25, 0.125)]
    (toys[1] / "metrics.csv").write_text((toys[1] / "metrics.csv").read_text().replace(",60,", ",600,"))
    configurations = compare_runs(list(map(read, toys)))
    assert "metric_and_cost.png" in [path.name for path in save_comparison(configurations, tmp_path / "out")]
    monkeypatch.setattr(comparison_plots, "save_figure", lambda figure, picture: kept.append(figure))
    assert comparison_plots.save_cost_plot(configurations, Path("x"))
    axes = kept[0].axes[0]
    assert kept[0].get_suptitle() == "mean error on toy/test"
    assert axes.get_ylabel() == "mean error (lower is better)"
    assert [line.get_xydata().tolist() for line in axes.lines] == [[[2.5, 0.25]], [[11.5, 0.125]]]


def call(*flags: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tools.compare", *map(str, flags)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_as_a_user_runs_it(runs: list[Path], tmp_path: Path):
    done = call(tmp_path, "--sort", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[2].startswith("| lr=0.5 | 1 | 90.0 | 95.0 | 75.0 | 80.0 | 64 | 2.50 | 1.50 |")
    assert (tmp_path / "out" / "compare.tex").is_file()
    wrong = call(tmp_path / "nowhere")
    assert wrong.returncode == 1
    assert wrong.stderr.strip().splitlines() == [f"error: {tmp_path / 'nowhere'}: there is no such folder"]


def test_it_starts_without_what_takes_seconds_to_import():
    command = "import sys, tools.compare, flags.tools; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=False).returncode == 0
