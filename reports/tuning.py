"""The table and the plot of a search of settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metrics.metric import Metric
from reports.curves import GREY, save_figure, style, validation_title
from reports.numbers import decimals
from reports.tables import MISSING, Table

COLOURS = {"complete": "#1f69c8", "stopped": "#9db8dd"}
PANELS_A_ROW = 3


@dataclass(frozen=True)
class TrialResult:
    """A trial of a search.

    Attributes:
        number: number of the trial.
        state: "complete", "stopped" (early, because it was worse than others) or "failed".
        values: values of the settings that are searched, numbers or texts, by name.
        result: best validation result; None without one.
        epoch: epoch of the best result.
        epochs: epochs with a result.
        seconds: duration.
    """

    number: int
    state: str
    values: Mapping[str, float | str]
    result: float | None
    epoch: int
    epochs: int
    seconds: float


def best_first(trials: Sequence[TrialResult], metric: Metric) -> list[TrialResult]:
    """Sorts trials: complete ones from the best to the worst, then those that were stopped, then failed ones."""
    states = ["complete", "stopped", "failed"]

    def key(trial: TrialResult) -> tuple[int, float, int]:
        score = 0.0 if trial.result is None else metric.score(trial.result)
        return states.index(trial.state), -score, trial.number

    return sorted(trials, key=key)


def tuning_table(trials: Sequence[TrialResult], metric: Metric) -> Table:
    """Returns the table of a search, best trial first, with a header."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.values))
    digits = decimals(metric.name, [trial.result for trial in trials if trial.result is not None])
    header = ["trial", *names, f"validation {metric.name}", "best epoch", "epochs", "minutes", "state"]
    rows = []
    for trial in best_first(trials, metric):
        has = trial.result is not None
        rows.append(
            [
                str(trial.number),
                *(_value(trial.values.get(name, MISSING)) for name in names),
                f"{trial.result:.{digits}f}" if has else MISSING,
                str(trial.epoch) if has else MISSING,
                str(trial.epochs),
                f"{trial.seconds / 60:.1f}",
                trial.state,
            ]
        )
    return [header, *rows]


def save_tuning_plot(trials: Sequence[TrialResult], metric: Metric, logarithmic: Sequence[str], picture: Path) -> None:
    """Draws the result over the trials, and over each setting that is searched.

    Args:
        trials: trials of the search, in their order; those without a result are not drawn.
        metric: metric of the validation.
        logarithmic: names of the settings that are drawn on a logarithmic scale.
        picture: the PNG file to write.
    """
    drawn = [trial for trial in trials if trial.result is not None]
    names = list(dict.fromkeys(name for trial in trials for name in trial.values))
    columns = min(1 + len(names), PANELS_A_ROW)
    rows = -(-(1 + len(names)) // PANELS_A_ROW)
    figure = Figure(figsize=(4.6 * columns, 3.9 * rows), dpi=110, layout="constrained")
    history, *panels = figure.subplots(rows, columns, squeeze=False).ravel()
    _draw_history(history, drawn, metric)
    for axes, name in zip(panels, names, strict=False):
        _draw_setting(axes, drawn, name, metric, name in logarithmic)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    save_figure(figure, picture)


def _draw_history(axes: Axes, trials: Sequence[TrialResult], metric: Metric) -> None:
    _points(axes, trials, [trial.number for trial in trials], metric)
    best: list[float] = []
    complete = [trial for trial in trials if trial.state == "complete"]
    for trial in complete:
        better = not best or metric.better(trial.result, best[-1])
        best.append(trial.result if better else best[-1])
    steps = [trial.number for trial in complete]
    axes.plot(steps, best, drawstyle="steps-post", color=GREY, linewidth=1.2, label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    style(axes, "trial")
    if trials:
        axes.legend(frameon=False, fontsize=9)


def _draw_setting(axes: Axes, trials: Sequence[TrialResult], name: str, metric: Metric, logarithmic: bool) -> None:
    values = [trial.values[name] for trial in trials]
    if any(isinstance(value, str) for value in values):
        known = sorted(set(map(str, values)), key=_numbers_first)
        _points(axes, trials, [known.index(str(value)) for value in values], metric)
        axes.set_xlim(-0.5, len(known) - 0.5)
        axes.set_xticks(range(len(known)), known)
    else:
        _points(axes, trials, values, metric)
        if logarithmic:
            axes.set_xscale("log")
    style(axes, name)


def _points(axes: Axes, trials: Sequence[TrialResult], positions: Sequence[float], metric: Metric) -> None:
    """Draws a point per trial, and a star at the best one."""
    pairs = list(zip(positions, trials, strict=True))
    for state, colour in COLOURS.items():
        own = [(position, trial.result) for position, trial in pairs if trial.state == state]
        if own:
            face = colour if state == "complete" else "none"
            axes.plot(
                *zip(*own, strict=True), marker="o", markersize=6, color=colour, markerfacecolor=face,
                linestyle="none", label=state,
            )  # fmt: skip
    axes.set_ylabel(validation_title(metric.name, metric), color=GREY)
    complete = [pair for pair in pairs if pair[1].state == "complete"]
    if complete:
        position, best = max(complete, key=lambda pair: metric.score(pair[1].result))
        axes.plot([position], [best.result], marker="*", markersize=14, color="#d73027", linestyle="none", zorder=5)


def _numbers_first(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text


def _value(value: float | str) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
