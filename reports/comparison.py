"""Runs side by side: repetitions with other seeds become mean and standard deviation, and what differs is named."""

import json
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from reports.run_folders import OF_EVALUATION, Run
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
        label: what tells it from the others.
        runs: training runs and evaluations of their networks.
        settings: what the runs share.
        cells: the figures of its networks.
        count: networks.
    """

    label: str
    runs: list[Run]
    settings: dict[str, Any]
    cells: dict[Key, Cell]
    count: int


def compare_runs(runs: Sequence[Run]) -> list[Configuration]:
    """Groups runs whose settings are equal, in the order in which they are first met.

    An evaluation belongs to the training run of its network; where both have a figure, the one given later counts.
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
    """Names of all test sets that any run was measured on, in the order of the runs."""
    keys = [key for configuration in configurations for key in configuration.cells if isinstance(key, tuple)]
    return list(dict.fromkeys(name for name, _ in keys))


test_sets.__test__ = False  # pytest takes the name for a test's


def main_test_set(configurations: Sequence[Configuration]) -> str | None:
    """The test set to sort and draw by: the first that is no validation set, or the first."""
    names = test_sets(configurations)
    validation = {run.validation for configuration in configurations for run in configuration.runs}
    tests = [name for name in names if name not in validation and not VALIDATION.search(name)]
    return next(iter(tests or names), None)


def differing(settings: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the settings that are not the same in all that have them.

    A network that was not trained here has no flags of training, which says nothing; but where one evaluation has a
    flag of its own, the others have not given it.
    """
    names = dict.fromkeys(name for own in settings for name in own)
    return [
        name
        for name in names
        if len({setting_text(own, name) for own in settings if name in own or name.endswith(OF_EVALUATION)}) > 1
    ]


def setting_text(settings: dict[str, Any], name: str) -> str:
    """A setting's value as text."""
    value = settings.get(name)
    if isinstance(value, dict):
        return ", ".join(f"{key}={entry}" for key, entry in value.items()) or MISSING
    return MISSING if value is None else str(value)


def _labels(groups: Sequence[list[Run]]) -> list[str]:
    """The first setting, or pair of settings, that tells all groups apart; else the names of their first runs."""
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
