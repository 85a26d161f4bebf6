"""Compares runs: python -m tools.compare logs/a logs/b ..."""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from commons.errors import run
from commons.files import write_text
from flags.reports import parse_compare_arguments
from reports.comparison import Configuration, compare_runs, main_metric, main_test_set
from reports.comparison_plots import save_cost_plot, save_learning_curves
from reports.comparison_tables import FORMATS, comparison_markdown
from reports.numbers import is_recall
from reports.run_folders import KnownSettings, Run, find_runs, read_run

SETTINGS = KnownSettings(
    without_effect=frozenset(
        (
            "seed", "output_folder", "save_dir", "config", "resume_train", "device", "num_workers", "cache_images",
            "decode", "infer_batch_size", "num_preds_to_save", "save_only_wrong_preds", "save_descriptors",
            "test_untrained", "test_set_folder", "queries_folder", "trackers",
        )
    ),
    data=("dataset_folder", "train_set_folder", "val_set_folder"),
    evaluation_defaults={"positive_dist_threshold": 25.0, "index": "flat", "precision": "auto"},
)  # fmt: skip


def _training_defaults() -> dict[str, Any]:
    from parser import training_defaults  # only here: it takes seconds

    return training_defaults()


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Reads runs. Settings that the version of one run had and another's did not get their defaults."""
    runs = [read_run(folder, SETTINGS) for folder in folders]
    if len({frozenset(own.settings) for own in runs}) == 1:
        return runs
    known = replace(SETTINGS, defaults=_training_defaults())
    return [read_run(folder, known) for folder in folders]


def sorted_by_metric(configurations: Sequence[Configuration]) -> list[Configuration]:
    """Sorts configurations from the best to the worst on the main test set, those that were not measured there last.

    The metric is the first run's.
    """
    metric = main_metric(configurations)
    key = (main_test_set(configurations, metric), metric.name)

    def score(own: Configuration) -> float:
        return metric.score(own.cells[key].mean) if key in own.cells else -math.inf

    return sorted(configurations, key=score, reverse=True)


def save_comparison(configurations: Sequence[Configuration], folder: Path) -> list[Path]:
    """Writes compare.md, .csv and .tex and the pictures to `folder`; returns the files."""
    written = []
    for kind, render in FORMATS.items():
        written.append(folder / f"compare.{kind}")
        write_text(written[-1], render(configurations))
    measured = "recall" if is_recall(main_metric(configurations).name) else "metric"
    for name, draw in ((f"{measured}_and_cost.png", save_cost_plot), ("learning_curves.png", save_learning_curves)):
        if draw(configurations, folder / name):
            written.append(folder / name)
    return written


def main() -> None:
    """Entry point."""
    args = parse_compare_arguments()
    logging.basicConfig(format="%(message)s")
    configurations = compare_runs(read_runs(find_runs(list(map(Path, args.runs)))))
    if args.sort:
        configurations = sorted_by_metric(configurations)
    print(comparison_markdown(configurations))
    if args.output:
        print("Written: " + ", ".join(map(str, save_comparison(configurations, Path(args.output)))))


if __name__ == "__main__":
    run(main)
