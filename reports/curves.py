"""Training curves drawn from a run's metrics.csv."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from commons.files import atomic_path
from metrics.metric import Metric
from reports.numbers import decimals, families, family_name, is_recall

Series = list[tuple[int, float]]

GREY = "#5b626d"
VALIDATION = "val_"  # begins the names of the validation's columns
PANELS_A_ROW = 3


def save_training_curves(metrics_csv: Path, picture: Path, metric: Metric) -> None:
    """Draws the loss and the figures of the validation over the epochs, and marks the best value of the main metric.

    Figures whose names differ only in numbers, such as R@1 and R@5, share a panel.

    Args:
        metrics_csv: a table with the columns `epoch`, `loss` and any number of `val_<figure>`. Cells may be empty.
            Where an epoch occurs more than once, as after a resume, its last row counts.
        picture: the PNG file to write.
        metric: the main metric.

    Raises:
        ValueError: if the table has no column `epoch`, or a cell is not a number.
    """
    epochs = read_metrics(metrics_csv)
    names = dict.fromkeys(name for row in epochs.values() for name in row if name.startswith(VALIDATION))
    figures = {name.removeprefix(VALIDATION): series(epochs, name) for name in names}
    # The main metric's panel comes first, and is there even where nothing was measured yet.
    groups = families(dict.fromkeys([metric.name, *figures]))
    rows, columns = -(-(1 + len(groups)) // PANELS_A_ROW), min(1 + len(groups), PANELS_A_ROW)
    figure = Figure(figsize=(5.5 * columns, 4.2 * rows), dpi=130, layout="constrained")
    loss_axes, *panels = figure.subplots(rows, columns, squeeze=False).ravel()
    _draw_loss(loss_axes, series(epochs, "loss"))
    for axes, group in zip(panels, groups, strict=False):
        _draw_validation(axes, {name: figures.get(name, []) for name in group}, metric)
    for axes in (loss_axes, *panels[: len(groups)]):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        style(axes, "epoch")
    for axes in panels[len(groups) :]:
        axes.set_axis_off()
    save_figure(figure, picture)


def save_figure(figure: Figure, picture: Path) -> None:
    """Writes a figure as PNG, through a temporary file."""
    with atomic_path(picture) as temporary:
        figure.savefig(temporary, format="png")


def read_metrics(metrics_csv: Path) -> dict[int, dict[str, float]]:
    """Reads metrics.csv into {epoch: {column: value}} in ascending epochs, without its empty cells."""
    epochs: dict[int, dict[str, float]] = {}
    with open(metrics_csv, newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file)
        if "epoch" not in (reader.fieldnames or []):
            raise ValueError(f"{metrics_csv} has no column 'epoch': it is not a metrics.csv of a training run")
        for row in reader:
            filled = {name: cell for name, cell in row.items() if name and cell and cell.strip()}
            try:
                values = {name: float(cell) for name, cell in filled.items()}
                if "epoch" in values:
                    epochs[int(values.pop("epoch"))] = values
            except ValueError as error:
                raise ValueError(f"{metrics_csv}, line {reader.line_num}: {error}") from None
    return dict(sorted(epochs.items()))


def series(epochs: Mapping[int, Mapping[str, float]], name: str) -> Series:
    """Returns the points (epoch, value) of a column, without epochs that have no finite value."""
    return [(epoch, row[name]) for epoch, row in epochs.items() if math.isfinite(row.get(name, math.nan))]


def validation_title(name: str, metric: Metric) -> str:
    """Returns the title of a panel of validation figures.

    Args:
        name: name of the figure, or of the family of figures.
        metric: the metric that picks the best epoch, if the panel shows it.
    """
    unit = " (%)" if is_recall(metric.name) else "" if metric.higher_is_better else " (lower is better)"
    return f"Validation {name}{unit}"


def _plot(axes: Axes, series: Series, **options) -> None:
    marker = "o" if len(series) <= 40 else None
    axes.plot(*zip(*series, strict=True), marker=marker, markersize=3.5, **options)


def _draw_loss(axes: Axes, loss: Series) -> None:
    axes.set_title("Training loss", loc="left")
    if loss:
        _plot(axes, loss, color="#1f69c8", linewidth=1.6)


def _draw_validation(axes: Axes, figures: Mapping[str, Series], metric: Metric) -> None:
    """Draws a family of figures, and marks the best epoch if the main metric is one of them."""
    shown = metric if metric.name in figures else Metric(next(iter(figures)))
    name = "recall" if is_recall(shown.name) else family_name(list(figures))
    axes.set_title(validation_title(name, shown), loc="left")
    figures = {name: series for name, series in figures.items() if series}
    for position, (name, series) in enumerate(figures.items()):
        colour = colormaps["viridis"](0.15 + 0.75 * position / max(1, len(figures) - 1))
        _plot(axes, series, label=name, color=colour, linewidth=2.2 if name == metric.name else 1.4)
    if metric.name in figures:
        _mark_best(axes, figures[metric.name], metric)
    if figures:
        axes.legend(frameon=False, fontsize=9)


def _mark_best(axes: Axes, values: Series, metric: Metric) -> None:
    epoch, best = max(values, key=lambda point: metric.score(point[1]))
    text = f"{best:.{decimals(metric.name, [best])}f}"
    axes.plot(
        [epoch],
        [best],
        marker="*",
        markersize=12,
        color="#d73027",
        linestyle="none",
        zorder=5,
        label=f"best {metric.name}: {text} at epoch {epoch}",
    )


def style(axes: Axes, xlabel: str) -> None:
    """Gives axes the look that all plots share, and says so where they are empty."""
    axes.set_xlabel(xlabel, color=GREY)
    axes.grid(True, color="#e6e8ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#b4bac4")
    axes.tick_params(colors=GREY, labelsize=9)
    if not axes.lines:
        axes.text(0.5, 0.5, "no values yet", transform=axes.transAxes, ha="center", va="center", color=GREY)
        axes.set_xticks([])
        axes.set_yticks([])
