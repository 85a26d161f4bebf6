"""Searching settings with Optuna: what is searched, and a study on disk that outlives its process."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commons.errors import ArgumentError, PlacewiseError, first_line

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

ABOUT, REASON, SAME_AS = "about", "reason", "same_as"  # user attributes of studies and trials


@dataclass(frozen=True)
class Dimension:
    """A setting that is searched: one of several texts, or a number in a range.

    Attributes:
        name: name of the setting.
        choices: its values as text; empty for a range.
        low, high: ends of the range, which are included.
        log: whether the range is searched on a logarithmic scale.
        whole: whether the number is an integer.
    """

    name: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    @classmethod
    def read(cls, name: str, text: str, kind: type | None) -> Dimension:
        """Reads LOW:HIGH, LOW:HIGH:log, A,B,C or A|B|C; with "|", values may contain commas.

        Args:
            name: name of the setting.
            text: what to read.
            kind: int or float for settings that are numbers and can have a range, otherwise None.

        Raises:
            ArgumentError: if the text is of another form.
        """
        if kind is None or ":" not in text:
            choices = tuple(value.strip() for value in text.split("|" if "|" in text else ","))
            if len(choices) < 2 or not all(choices) or len(set(choices)) < len(choices):
                raise ArgumentError("search", f"{name}={text}: give two or more different values, or a range")
            return cls(name, choices)
        low, high, *scale = text.split(":")
        try:
            ends = kind(low), kind(high)
        except ValueError:
            number = "whole numbers" if kind is int else "numbers"
            raise ArgumentError("search", f"{name}={text}: the ends of the range must be {number}") from None
        if scale not in ([], ["log"]):
            raise ArgumentError("search", f"{name}={text}: write a range as LOW:HIGH or LOW:HIGH:log")
        if not -math.inf < ends[0] < ends[1] < math.inf:
            raise ArgumentError("search", f"{name}={text}: the low end of a range must be below the high end")
        if scale and ends[0] <= 0:
            raise ArgumentError(
                "search", f"{name}={text}: the low end of a range on a logarithmic scale must be above 0"
            )
        return cls(name, (), *ends, bool(scale), kind is int)

    def ends(self) -> tuple[str, ...]:
        """Returns the values to check: all of a list, and both ends of a range."""
        return self.choices or (str(self.low), str(self.high))

    def suggest(self, trial: Trial) -> str:
        """Returns the value of a trial as text."""
        if self.choices:
            return trial.suggest_categorical(self.name, self.choices)
        draw = trial.suggest_int if self.whole else trial.suggest_float
        return str(draw(self.name, self.low, self.high, log=self.log))


def import_optuna() -> Any:
    """Returns the package, which is optional.

    Raises:
        PlacewiseError: if it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise PlacewiseError("tools.tune needs Optuna: pip install optuna") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def open_study(file: Path, seed: int, startup_trials: int, about: Mapping[str, Any]) -> Study:
    """Opens the study in an SQLite file, or begins it. Its results are scores, the higher the better.

    Trials are proposed by TPE (https://papers.nips.cc/paper/4443) and stopped by the median rule of Google Vizier
    (https://doi.org/10.1145/3097983.3098043).

    Args:
        file: file of the study.
        seed: seed of the proposals.
        startup_trials: first trials, which are random and never stopped.
        about: what all trials share. A study with other entries is refused.

    Raises:
        PlacewiseError: if the file is no study.
        ArgumentError: if it holds a study of other settings.
    """
    optuna = import_optuna()
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{file}", study_name="tune", direction="maximize", load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=startup_trials),
        )  # fmt: skip
    except Exception as error:  # of SQLAlchemy, which is not imported here
        if not type(error).__module__.startswith(("sqlalchemy", "optuna", "sqlite3")):
            raise
        raise PlacewiseError(f"{file}: is not a study of tools.tune or is damaged ({first_line(error)})") from error
    wanted = json.loads(json.dumps(about, default=str))
    held = study.user_attrs.get(ABOUT, wanted)
    for name in sorted(held.keys() | wanted.keys()):
        if held.get(name) != wanted.get(name):
            raise ArgumentError(
                "output",
                f"{file.parent} contains a study with {name} {held.get(name)}, not {wanted.get(name)}; name another",
            )
    study.set_user_attr(ABOUT, wanted)
    # A sampler with the seed of the beginning would propose the first trials again.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=startup_trials)
    return study


def interrupted(study: Study) -> list[FrozenTrial]:
    """Returns the trials that ran when their process ended."""
    return [trial for trial in study.trials if trial.state.name == "RUNNING"]


def run_again(study: Study, trial: FrozenTrial) -> None:
    """Marks an interrupted trial as failed; the next trial has its values."""
    study.enqueue_trial(trial.params)
    study.tell(trial.number, state=import_optuna().trial.TrialState.FAIL)


def end_trial(study: Study, trial: Trial, scores: Sequence[float], stopped: bool, reason: str | None) -> None:
    """Writes the outcome of a trial into the study: its best score, or that it was stopped early or has failed.

    Args:
        study: study of the trial.
        trial: trial that has ended.
        scores: scores of its epochs.
        stopped: whether it was stopped early.
        reason: why it has failed; None if it has not.
    """
    states = import_optuna().trial.TrialState
    if reason is not None:
        trial.set_user_attr(REASON, reason)
        study.tell(trial, state=states.FAIL)
    elif stopped:
        study.tell(trial, state=states.PRUNED)
    else:
        study.tell(trial, max(scores))


def finished(study: Study) -> list[FrozenTrial]:
    """Returns the trials that have ended, without those that were interrupted."""
    ended = [trial for trial in study.trials if trial.state.is_finished()]
    return [trial for trial in ended if trial.state.name != "FAIL" or REASON in trial.user_attrs]


def end_as_earlier(study: Study, trial: Trial) -> int | None:
    """Gives a trial the outcome of an earlier one with the same values, unless that has failed.

    Returns:
        The number of the earlier trial; None if there is none and the trial is still to be run.
    """
    for earlier in finished(study):
        if earlier.params == trial.params and earlier.state.name != "FAIL" and SAME_AS not in earlier.user_attrs:
            trial.set_user_attr(SAME_AS, earlier.number)
            complete = earlier.state.name == "COMPLETE"
            study.tell(trial, earlier.value if complete else None, None if complete else earlier.state)
            return earlier.number
    return None
