"""Runs side by side: python -m tools.compare logs/a logs/b ..."""

import logging
from collections.abc import Sequence
from pathlib import Path

from commons.errors import run
from commons.files import write_text
from reports.comparison import Configuration, compare_runs, main_test_set
from reports.comparison_plots import save_cost_plot, save_learning_curves
from reports.comparison_tables import FORMATS, comparison_markdown
from reports.run_folders import Run, find_runs, read_run


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Reads runs. Where one has flags that another's version of the code did not have, the other gets the defaults."""
    runs = [read_run(folder) for folder in folders]
    if len({frozenset(own.settings) for own in runs}) == 1:
        return runs
    from parser import training_defaults  # only here: it takes seconds

    defaults = training_defaults()
    return [read_run(folder, defaults) for folder in folders]


def sorted_by_recall(configurations: Sequence[Configuration]) -> list[Configuration]:
    """The configurations from the best to the worst mean R@1 on the main test set; those without one last."""
    key = (main_test_set(configurations), "R@1")
    return sorted(configurations, key=lambda own: -own.cells[key].mean if key in own.cells else float("inf"))


def save_comparison(configurations: Sequence[Configuration], folder: Path) -> list[Path]:
    """Writes compare.md, .csv and .tex and the pictures to `folder`; returns what was written."""
    written = []
    for kind, render in FORMATS.items():
        written.append(folder / f"compare.{kind}")
        write_text(written[-1], render(configurations))
    for name, draw in (("recall_and_cost.png", save_cost_plot), ("learning_curves.png", save_learning_curves)):
        if draw(configurations, folder / name):
            written.append(folder / name)
    return written


def main() -> None:
    """Entry point."""
    from flags.reports import parse_compare_arguments

    args = parse_compare_arguments()
    logging.basicConfig(format="%(message)s")
    configurations = compare_runs(read_runs(find_runs(list(map(Path, args.runs)))))
    if args.sort:
        configurations = sorted_by_recall(configurations)
    print(comparison_markdown(configurations))
    if args.output:
        print("Written: " + ", ".join(map(str, save_comparison(configurations, Path(args.output)))))


if __name__ == "__main__":
    run(main)
