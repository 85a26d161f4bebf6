"""Compares runs: python -m tools.compare logs/a logs/b ..."""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from commons.errors import run
from commons.files import write_text
from flags.data import TrainData
from flags.evaluation import EvaluationSettings
from flags.run import RunSettings
from flags.settings import fields_of, flat, names_where
from flags.tools import CompareSettings, parse_compare_settings
from parser import EvalSettings, TrainSettings
from reports.comparison import Configuration, compare_runs, main_metric, main_test_set
from reports.comparison_plots import save_cost_plot, save_learning_curves
from reports.comparison_tables import FORMATS, comparison_markdown
from reports.numbers import is_recall
from reports.run_folders import KnownSettings, Run, find_runs, read_run


def known_settings() -> KnownSettings:
    """Returns the parts of the declared settings that a comparison needs."""
    kinds = (TrainSettings, EvalSettings)
    without = set.union(*(names_where(kind, lambda flag: not flag.changes_result) for kind in kinds))
    training, evaluation = (flat(kind()) for kind in kinds)
    shared = [own.name for kind in (EvaluationSettings, RunSettings) for own in fields_of(kind)]
    return KnownSettings(
        without_effect=frozenset(without),
        data=tuple(own.name for own in fields_of(TrainData) if own.name not in without),
        evaluation_defaults={
            name: evaluation[name] for name in shared if name not in without and evaluation[name] == training[name]
        },
    )


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Reads runs. Settings that are missing in some runs, because of an older version, get their defaults."""
    known = known_settings()
    runs = [read_run(folder, known) for folder in folders]
    if len({frozenset(own.settings) for own in runs}) == 1:
        return runs
    known = replace(known, defaults=flat(TrainSettings()))
    return [read_run(folder, known) for folder in folders]


def sorted_by_metric(configurations: Sequence[Configuration]) -> list[Configuration]:
    """Sorts configurations from the best to the worst by the main metric of the first run on the main test set.

    Configurations that were not evaluated on that set come last.
    """
    metric = main_metric(configurations)
    key = (main_test_set(configurations, metric), metric.name)

    def score(own: Configuration) -> float:
        return metric.score(own.cells[key].mean) if key in own.cells else -math.inf

    return sorted(configurations, key=score, reverse=True)


def save_comparison(configurations: Sequence[Configuration], folder: Path) -> list[Path]:
    """Writes compare.md, compare.csv, compare.tex and the plots to `folder` and returns the files."""
    written = []
    for kind, render in FORMATS.items():
        written.append(folder / f"compare.{kind}")
        write_text(written[-1], render(configurations))
    measured = "recall" if is_recall(main_metric(configurations).name) else "metric"
    for name, draw in ((f"{measured}_and_cost.png", save_cost_plot), ("learning_curves.png", save_learning_curves)):
        if draw(configurations, folder / name):
            written.append(folder / name)
    return written


def main(settings: CompareSettings | None = None) -> None:
    """Entry point."""
    settings = settings or parse_compare_settings()
    logging.basicConfig(format="%(message)s")
    configurations = compare_runs(read_runs(find_runs(list(map(Path, settings.runs)))))
    if settings.sort:
        configurations = sorted_by_metric(configurations)
    print(comparison_markdown(configurations))
    if settings.output:
        print("Written: " + ", ".join(map(str, save_comparison(configurations, Path(settings.output)))))


if __name__ == "__main__":
    run(main)
