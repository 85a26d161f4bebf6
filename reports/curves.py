"""Training curves drawn from a run's metrics.csv."""

import csv
import math
import re
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from commons.files import atomic_path

Series = list[tuple[int, float]]

GREY = "#5b626d"


def save_training_curves(metrics_csv: Path, picture: Path) -> None:
    """Draws the loss and the validation recalls over the epochs, the best R@1 marked.

    Args:
        metrics_csv: A table with the columns `epoch`, `loss` and any number of `val_R@k` (percent). Cells may be
            empty; where an epoch occurs more than once, as after a resume, its last row counts.
        picture: The PNG file to write.

    Raises:
        ValueError: If the table has no `epoch` column or a cell that should be a number is none.
    """
    epochs = read_metrics(metrics_csv)
    figure = Figure(figsize=(11, 4.2), dpi=130, layout="constrained")
    loss_axes, recall_axes = figure.subplots(1, 2)
    _draw_loss(loss_axes, series(epochs, "loss"))
    names = {name for row in epochs.values() for name in row if re.fullmatch(r"val_R@\d+", name)}
    names = sorted(names, key=lambda name: int(name.rpartition("@")[2]))
    _draw_recalls(recall_axes, {name.removeprefix("val_"): series(epochs, name) for name in names})
    for axes in (loss_axes, recall_axes):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        style(axes, "epoch")
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


def series(epochs: dict[int, dict[str, float]], name: str) -> Series:
    """The points (epoch, value) of one column; epochs without a finite value are left out."""
    return [(epoch, row[name]) for epoch, row in epochs.items() if math.isfinite(row.get(name, math.nan))]


def _plot(axes: Axes, series: Series, **options) -> None:
    marker = "o" if len(series) <= 40 else None
    axes.plot(*zip(*series, strict=True), marker=marker, markersize=3.5, **options)


def _draw_loss(axes: Axes, loss: Series) -> None:
    axes.set_title("Training loss", loc="left")
    if loss:
        _plot(axes, loss, color="#1f69c8", linewidth=1.6)


def _draw_recalls(axes: Axes, recalls: dict[str, Series]) -> None:
    axes.set_title("Validation recall (%)", loc="left")
    recalls = {name: series for name, series in recalls.items() if series}
    for position, (name, series) in enumerate(recalls.items()):
        colour = colormaps["viridis"](0.15 + 0.75 * position / max(1, len(recalls) - 1))
        _plot(axes, series, label=name, color=colour, linewidth=2.2 if name == "R@1" else 1.4)
    if "R@1" in recalls:
        epoch, best = max(recalls["R@1"], key=lambda point: point[1])
        axes.plot(
            [epoch],
            [best],
            marker="*",
            markersize=12,
            color="#d73027",
            linestyle="none",
            zorder=5,
            label=f"best R@1: {best:.1f} at epoch {epoch}",
        )
    if recalls:
        axes.legend(frameon=False, fontsize=9)


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
