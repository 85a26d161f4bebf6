"""The plot of a learning-rate range test."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from reports.curves import save_figure, style


def save_lr_range_plot(
    rates: np.ndarray, losses: np.ndarray, smoothed: np.ndarray, marks: Mapping[str, int], picture: Path
) -> None:
    """Draws losses over the learning rate.

    Args:
        rates: learning rates in ascending order, (n,).
        losses, smoothed: loss at each, (n,); NaN is not drawn.
        marks: indices of points to mark, by what they are.
        picture: the PNG file to write.
    """
    figure = Figure(figsize=(7.5, 4.6), dpi=130, layout="constrained")
    axes = figure.subplots()
    axes.plot(rates, losses, color="#b8cbe6", linewidth=1.0, label="loss of a batch")
    axes.plot(rates, smoothed, color="#1f69c8", linewidth=2.0, label="smoothed")
    for (label, index), colour, marker in zip(marks.items(), ("#d73027", "#1a9850"), "ov", strict=False):
        axes.plot(
            rates[index], smoothed[index], marker=marker, markersize=9, color=colour, linestyle="none", zorder=5,
            label=f"{label}: {rates[index]:.2g}",
        )  # fmt: skip
    axes.set_xscale("log")
    low, high = min(np.nanmin(smoothed), np.quantile(losses, 0.02)), np.quantile(losses, 0.95)  # without divergence
    axes.set_ylim(low - 0.1 * (high - low), high + 0.15 * (high - low))
    axes.set_title("Learning-rate range test", loc="left")
    axes.set_ylabel("training loss", color="#5b626d")
    axes.legend(frameon=False, fontsize=9)
    style(axes, "learning rate")
    save_figure(figure, picture)
