"""Plots of a comparison: the main metric against costs, and the learning curves of all runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from metrics.metric import Metric
from reports.comparison import Configuration, main_metric, main_test_set
from reports.curves import VALIDATION, save_figure, series, style, validation_title
from reports.numbers import is_recall

COSTS = {
    "dimension": "dimensions of the descriptor",
    "gflops": "GFLOPs an image",
    "test_speed": "test images/s",
    "training_seconds": "minutes of training",
}
MARKERS = "osD^vP*X"
# Ratios of the largest to the smallest cost: above the first it gets a panel, above the second a logarithmic axis.
DIFFERENT, WIDE = 1.05, 3.0


def save_cost_plot(configurations: Sequence[Configuration], picture: Path) -> bool:
    """Draws the main metric on the main test set against every cost in which configurations differ.

    Bars are standard deviations. The metric is the first run's; configurations without it are not drawn.

    Returns:
        Whether there was anything to draw.
    """
    metric = main_metric(configurations)
    key = (main_test_set(configurations, metric), metric.name)
    costs = [cost for cost in COSTS if _spread(configurations, key, cost) > DIFFERENT]
    if not costs:
        return False
    figure = Figure(figsize=(3.6 * len(costs) + 2.6, 4.0), dpi=130, layout="constrained")
    panels = figure.subplots(1, len(costs), squeeze=False, sharey=True)[0]
    for axes, cost in zip(panels, costs, strict=True):
        _draw_cost(axes, configurations, key, cost)
        style(axes, COSTS[cost])
    panels[0].set_ylabel(_axis_label(metric))
    figure.suptitle(f"{metric.name} on {key[0]}", x=0.01, ha="left", fontsize=12)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=9)
    save_figure(figure, picture)
    return True


def _axis_label(metric: Metric) -> str:
    if is_recall(metric.name):
        return f"{metric.name} (%)"
    return metric.name if metric.higher_is_better else f"{metric.name} (lower is better)"


def _drawn(own: Configuration, key: tuple, cost: str) -> bool:
    return key in own.cells and cost in own.cells


def _spread(configurations: Sequence[Configuration], key: tuple, cost: str) -> float:
    costs = [own.cells[cost].mean for own in configurations if _drawn(own, key, cost)]
    return max(costs) / min(costs) if costs and min(costs) > 0 else 0.0


def _draw_cost(axes: Axes, configurations: Sequence[Configuration], key: tuple, cost: str) -> None:
    scale = 60.0 if cost == "training_seconds" else 1.0
    for number, own in enumerate(configurations):
        x, y = [], []
        if _drawn(own, key, cost):
            cell = own.cells[key]
            x, y = [own.cells[cost].mean / scale], [cell.mean]
            if cell.deviation:
                axes.errorbar(x, y, yerr=[cell.deviation], color=f"C{number % 10}", capsize=3, linewidth=1.2)
        marker = MARKERS[number % len(MARKERS)]
        axes.plot(x, y, marker, color=f"C{number % 10}", markersize=8, alpha=0.75, label=own.label)
    if _spread(configurations, key, cost) > WIDE:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(0.15)


def save_learning_curves(configurations: Sequence[Configuration], picture: Path) -> bool:
    """Draws loss and main metric of the validation of every run that trained; a configuration's runs share a colour.

    Runs with different main metrics get a panel for each metric.

    Returns:
        Whether there was anything to draw.
    """
    metrics = [run.metric for own in configurations for run in own.runs if run.epochs]
    if not metrics:
        return False
    columns = {"loss": "Training loss"}
    columns |= {VALIDATION + metric.name: validation_title(metric.name, metric) for metric in metrics}
    figure = Figure(figsize=(5.0 * len(columns) + 2.5, 4.2), dpi=130, layout="constrained")
    panels = figure.subplots(1, len(columns))
    for axes, (column, title) in zip(panels, columns.items(), strict=True):
        axes.set_title(title, loc="left")
        for number, own in enumerate(configurations):
            label: str | None = own.label
            for points in (series(run.epochs, column) for run in own.runs):
                if points:
                    marker = "o" if len(points) <= 40 else None
                    line = dict(color=f"C{number % 10}", linestyle=("-", "--", ":")[number // 10 % 3], linewidth=1.5)
                    axes.plot(*np.transpose(points), marker=marker, markersize=3.5, alpha=0.85, label=label, **line)
                    label = None
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        style(axes, "epoch")
    handles, labels = max((axes.get_legend_handles_labels() for axes in panels), key=lambda pair: len(pair[0]))
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=9)
    save_figure(figure, picture)
    return True
