"""How well measures of confidence tell right first predictions from wrong ones: a table and a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from metrics.confidence import AVERAGE_PRECISION, FULL_PRECISION, precision_and_recall
from reports.curves import GREY, save_figure, style
from reports.tables import Table, confidence_rows, markdown_table

Figures = Mapping[str, Mapping[str, float]]


def confidence_markdown(name: str, figures: Figures, calibration: Mapping[str, Any] | None = None) -> str:
    """Returns the table of a test set, best measure first, and a line about its calibration."""
    parts = [markdown_table(confidence_table(figures))]
    if calibration:
        parts.append(
            f"Probability: calibrated on {calibration['fitted_to']}, Brier score {calibration['brier']:.3f}, expected "
            f"calibration error {calibration['ece']:.3f}."
        )
    return f"## {name}\n\n" + "\n\n".join(parts) + "\n"


def confidence_table(figures: Figures) -> Table:
    """Returns a row for each measure."""
    return [["confidence", AVERAGE_PRECISION, FULL_PRECISION], *confidence_rows(figures)]


def save_precision_recall(
    correct: np.ndarray, measures: Mapping[str, np.ndarray], figures: Figures, picture: Path
) -> None:
    """Draws precision against recall of "the first prediction is right", a curve for each measure.

    Args:
        correct: bool (q,); at least one is right.
        measures: (q,) each, higher for predictions that are more likely right.
        figures: figures returned by `metrics.confidence.confidence_figures`.
        picture: the PNG file to write.
    """
    figure = Figure(figsize=(7.5, 5.2), dpi=130, layout="constrained")
    axes = figure.subplots()
    order = sorted(figures, key=lambda name: -figures[name][AVERAGE_PRECISION])
    for position, name in enumerate(order):
        precision, recall = precision_and_recall(correct, measures[name])
        colour = GREY if name == "random" else colormaps["viridis"](0.9 * position / max(1, len(order) - 1))
        label = f"{name}: {figures[name][AVERAGE_PRECISION]:.1f}"
        axes.plot(100 * recall, 100 * precision, drawstyle="steps-pre", color=colour, linewidth=1.6, label=label)
    style(axes, "recall of right first predictions (%)")
    lowest = 100 * float(correct.mean())
    axes.set(ylabel="precision (%)", xlim=(0, 101), ylim=(max(0, lowest - 10), 101))
    axes.set_title("Is the first prediction right? Area under the curve (%)", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    save_figure(figure, picture)


def save_skipping_curves(records: Mapping[str, Mapping[str, Any]], picture: Path) -> None:
    """Draws R@1 against the share of queries that adaptive re-ranking skips.

    Args:
        records: "reranking" of the results of each test set, with "curve" and "skipped_share".
        picture: the PNG file to write.
    """
    figure = Figure(figsize=(7.5, 4.6), dpi=130, layout="constrained")
    axes = figure.subplots()
    for position, (name, record) in enumerate(records.items()):
        colour = colormaps["viridis"](0.75 * position / max(1, len(records) - 1))
        shares, recalls = zip(*record["curve"], strict=True)
        axes.plot(shares, recalls, color=colour, linewidth=1.6, label=name)
        nearest = int(np.argmin(np.abs(np.array(shares) - record["skipped_share"])))
        axes.plot(shares[nearest], recalls[nearest], marker="o", color=colour, markersize=7)
    style(axes, "queries that are not re-ranked (%)")
    axes.set(ylabel="R@1 (%)", xlim=(-2, 102))
    axes.set_title("Adaptive re-ranking; the dot is what the validation set chose", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9)
    save_figure(figure, picture)
