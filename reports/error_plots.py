"""Recall in bins as bars."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.curves import GREY, save_figure, style
from reports.error_bins import Section

BAR, BEST = "#5b93db", "#cfddf0"


def save_error_plot(sections: Sequence[Section], overall: float, picture: Path) -> None:
    """Draws R@1 in every bin with its Wilson interval, R@5 behind it, and R@1 over all queries as a line.

    Args:
        sections: sections returned by `all_sections`; those without bins are not drawn.
        overall: R@1 over all queries in percent.
        picture: the PNG file to write.
    """
    drawn = [section for section in sections if section.bins]
    rows = -(-len(drawn) // 2)
    figure = Figure(figsize=(12.5, 3.7 * rows), dpi=130, layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, section in zip(panels, drawn, strict=False):
        _draw_section(axes, section, overall)
    for axes in panels[len(drawn) :]:
        axes.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    save_figure(figure, picture)


def _draw_section(axes: Axes, section: Section, overall: float) -> None:
    at = np.arange(len(section.bins))
    recall, recall_5 = (
        np.array([100 * getattr(own, name) / own.queries for own in section.bins]) for name in ("right", "right_5")
    )
    low, high = (np.array([getattr(own, name) for own in section.bins]) for name in ("low", "high"))
    axes.bar(at, recall_5, color=BEST, width=0.72, label="R@5")
    axes.bar(at, recall, color=BAR, width=0.72, label="R@1")
    errors = np.stack([recall - low, high - recall]).clip(min=0)
    axes.errorbar(at, recall, errors, fmt="none", color="#202328", capsize=3, linewidth=1.2, label="95 % interval")
    axes.axhline(overall, color=GREY, linewidth=1, linestyle="--", label="R@1 of all queries")
    style(axes, "")
    axes.grid(False, axis="x")
    axes.set_title(section.title, loc="left", fontsize=11)
    axes.set(ylabel="%", ylim=(0, 105), xlim=(-0.6, max(len(at), 3) - 0.4))
    axes.set_xticks(at, [f"{own.label}\n{own.queries} queries" for own in section.bins], fontsize=8)
