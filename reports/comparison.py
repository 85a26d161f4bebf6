"""Compares runs: groups repetitions with other seeds into mean and standard deviation, and finds what differs."""

import json
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from metrics.metric import Metric
from reports.run_folders import METRIC, OF_EVALUATION, Run
from reports.tables import MISSING

Key = str | tuple[str, str]
VALIDATION = re.compile(r"/val( \([^()]*\))?$")  # with the queries' folder in parentheses where there are several


@dataclass(frozen=True)
class Cell:
    """Mean and sample standard deviation (n - 1 in the denominator; None for a single value) of n networks."""

    mean: float
    deviation: float | None
    count: int


@dataclass(frozen=True)
class Configuration:
    """Runs of equal settings.

    Attributes:
        label: what distinguishes it from the others.
        runs: training runs and evaluations of their networks.
        settings: those of its first run.
        cells: the figures of its networks, by the keys of `Run.figures`.
        count: how many networks it has.
    """

    label: str
    runs: list[Run]
    settings: dict[str, Any]
    cells: dict[Key, Cell]
    count: int


def compare_runs(runs: Sequence[Run]) -> list[Configuration]:
    """Groups runs whose settings are equal, in the order in which they are first met.

    An evaluation belongs to the training run of its network. Where both have a figure, the later one counts.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps(run.settings, sort_keys=True, default=str), []).append(run)
    labels = _labels(list(groups.values()))
    return [_configuration(label, members) for label, members in zip(labels, groups.values(), strict=True)]


def _configuration(label: str, runs: list[Run]) -> Configuration:
    networks: dict[tuple, dict[Key, float]] = {}
    for run in runs:
        networks.setdefault(run.model, {}).update(run.figures)
    keys = dict.fromkeys(key for figures in networks.values() for key in figures)
    values = {key: [figures[key] for figures in networks.values() if key in figures] for key in keys}
    cells = {
        key: Cell(statistics.fmean(own), statistics.stdev(own) if len(own) > 1 else None, len(own))
        for key, own in values.items()
    }
    return Configuration(label, runs, runs[0].settings, cells, len(networks))


def test_sets(configurations: Sequence[Configuration]) -> list[str]:
    """Returns the names of all test sets that any run was measured on, in the order of the runs."""
    return list(dict.fromkeys(name for own in configurations for name, _ in _results_of(own)))


test_sets.__test__ = False  # pytest would collect it as a test


def figure_names(configurations: Sequence[Configuration]) -> list[str]:
    """Returns the names of all figures that any run has of a test set, in the order of the runs."""
    return list(dict.fromkeys(figure for own in configurations for _, figure in _results_of(own)))


def _results_of(configuration: Configuration) -> list[tuple[str, str]]:
    """Returns (test set, figure) of a configuration's results."""
    return [key for key in configuration.cells if isinstance(key, tuple)]


def main_metric(configurations: Sequence[Configuration]) -> Metric:
    """Returns the metric to sort and draw by: the first run's."""
    return next((run.metric for own in configurations for run in own.runs), METRIC)


def main_test_set(configurations: Sequence[Configuration], metric: Metric) -> str | None:
    """Returns the test set to sort and draw by: of those with the metric, the first that is not a validation set.

    If all are validation sets, it is the first of them; None if no test set has the metric.
    """
    measured = {name for own in configurations for name, figure in _results_of(own) if figure == metric.name}
    names = [name for name in test_sets(configurations) if name in measured]
    validation = {run.validation for configuration in configurations for run in configuration.runs}
    tests = [name for name in names if name not in validation and not VALIDATION.search(name)]
    return next(iter(tests or names), None)


def differing(settings: Sequence[dict[str, Any]]) -> list[str]:
    """Returns the names of the settings that are not the same in all that have them.

    A network that was not trained here has no settings of a training, which is not a difference. A setting of
    evaluations is one as soon as a single evaluation has it: the others ran without it.
    """
    names = dict.fromkeys(name for own in settings for name in own)
    return [
        name
        for name in names
        if len({setting_text(own, name) for own in settings if name in own or name.endswith(OF_EVALUATION)}) > 1
    ]


def setting_text(settings: dict[str, Any], name: str) -> str:
    """Returns a setting's value as text."""
    value = settings.get(name)
    if isinstance(value, dict):
        return ", ".join(f"{key}={entry}" for key, entry in value.items()) or MISSING
    return MISSING if value is None else str(value)


def _labels(groups: Sequence[list[Run]]) -> list[str]:
    """Returns labels from the first setting, or pair of settings, that distinguishes all groups.

    Where there is none, the labels are the folder names of the groups' first runs.
    """
    settings = [runs[0].settings for runs in groups]
    names = differing(settings)
    for chosen in [*combinations(names, 1), *combinations(names, 2)]:
        labels = [_label(own, chosen) for own in settings]
        if len(set(labels)) == len(labels):
            return labels
    labels = [runs[0].folder.resolve().name for runs in groups]
    if len(set(labels)) < len(labels):
        labels = ["/".join(runs[0].folder.resolve().parts[-2:]) for runs in groups]
    return [f"{label} ({at + 1})" if label in labels[:at] else label for at, label in enumerate(labels)]


def _label(settings: dict[str, Any], names: Sequence[str]) -> str:
    texts = {name: setting_text(settings, name) for name in names}
    known = {name: text for name, text in texts.items() if text != MISSING} or texts
    return ", ".join(text if name in ("backbone", "aggregation") else f"{name}={text}" for name, text in known.items())
