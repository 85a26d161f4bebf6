"""Where a network finds the right place and where not: python -m tools.errors RUN"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from commons.errors import PlacewiseError, run
from commons.files import write_text
from reports.curves import GREY, save_figure, style
from reports.error_bins import Bin, Section, all_sections, make_bin, ranks
from reports.predictions_table import FILE, load_predictions_table
from reports.tables import MISSING, markdown_table

BAR, BEST = "#5b93db", "#cfddf0"


def find_tables(folder: Path) -> list[Path]:
    """Returns the predictions of every test set of a run.

    Raises:
        PlacewiseError: if the folder is no run's, or has none.
    """
    if not (folder / "results.json").is_file():
        raise PlacewiseError(f"{folder}: is not the folder of a finished run, it has no results.json")
    tables = [*folder.glob(FILE), *sorted(folder.glob(f"*/{FILE}"))]
    if not tables:
        raise PlacewiseError(
            f"{folder}: has no {FILE}; it was measured by an older version, or by train.py without a test set: measure "
            "its best_model.pth with eval.py"
        )
    return tables


def worst_queries(table: pa.Table, threshold: float, count: int) -> pa.Table:
    """Returns the wrongly answered queries with a right image in the database, the most confident ones first.

    Confident is an answer whose similarity lies far above that of every other place (`margin`).
    """
    nearest = table["nearest_distance"].fill_null(np.inf).to_numpy()
    wrong = np.flatnonzero((ranks(table) != 1) & (nearest <= threshold))
    order = np.argsort(-table["margin"].to_numpy()[wrong], kind="stable")
    return table.take(pa.array(wrong[order][:count]))


def errors_markdown(
    table: pa.Table, about: Mapping[str, Any], sections: Sequence[Section], worst: int, folder: Path | None = None
) -> str:
    """Writes all bins and the worst queries as tables; with `folder`, for a file there, pictures are linked."""
    whole = make_bin("all queries", ranks(table))
    parts = [f"# Errors on {about['test_set']}", markdown_table(_bin_table("", [whole]))]
    parts += ["![recall by bins](errors.png)"] if folder else []
    for section in sections:
        parts += [f"## {section.title}", section.note or markdown_table(_bin_table(section.what, section.bins))]
    parts.append("## The most confident wrong answers")
    found = worst_queries(table, about["threshold"], worst)
    parts.append(markdown_table(_worst_table(found, about, folder)) if len(found) else "None.")
    missing = int((table["nearest_distance"].fill_null(np.inf).to_numpy() > about["threshold"]).sum())
    if missing:
        parts.append(f"Queries without a right image in the database are not listed: {missing}.")
    return "\n\n".join(parts) + "\n"


def _bin_table(what: str, bins: Sequence[Bin]) -> list[list[str]]:
    header = [what, "queries", "right", "R@1", "95 % interval", "R@5"]
    return [header] + [
        [
            own.label,
            str(own.queries),
            str(own.right),
            f"{100 * own.right / own.queries:.1f}",
            f"{own.low:.1f} to {own.high:.1f}",
            f"{100 * own.right_5 / own.queries:.1f}",
        ]
        for own in bins
    ]


def _worst_table(found: pa.Table, about: Mapping[str, Any], folder: Path | None) -> list[list[str]]:
    """One row a query, linked to the images where they are still in their place."""
    rows = [["query", "first prediction", "distance", "similarity", "margin", "first right", "heading off"]]
    for row in found.to_pylist():
        off, right = row["nearest_turn"], row["first_right"]
        rows.append(
            [
                _link(Path(about["queries_folder"], row["query"]), folder),
                _link(Path(about["database_folder"], row["predictions"][0]), folder),
                f"{row['distances'][0]:.0f} m",
                f"{row['similarities'][0]:.3f}",
                f"{row['margin']:.3f}",
                MISSING if right is None else f"rank {right}",
                MISSING if off is None else f"{off:.0f}°",
            ]
        )
    return rows


def _link(image: Path, folder: Path | None) -> str:
    if folder is None or not os.path.isfile(image):
        return str(image)
    try:
        address = quote(Path(os.path.relpath(image, folder)).as_posix(), safe="/@")
    except ValueError:  # on another drive of Windows
        return str(image)
    name = image.name.replace("[", "&#91;").replace("]", "&#93;")
    return f"[{name}](<{address}>)"


def save_error_plot(sections: Sequence[Section], overall: float, picture: Path) -> None:
    """Draws R@1 in every bin with its Wilson interval, R@5 behind it, and R@1 over all queries as a line."""
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


def report_errors(file: Path, folder: Path, worst: int) -> str:
    """Writes errors.md and errors.png of one test set to `folder` and returns the text for the console.

    Raises:
        PlacewiseError: if the set has no labels.
    """
    table, about = load_predictions_table(file)
    if not len(table) or table["nearest_distance"].null_count == len(table):
        raise PlacewiseError(f"{file}: the queries have no positions (--no_labels), so nobody knows what is wrong")
    sections = all_sections(table, about)
    save_error_plot(sections, 100 * float((ranks(table) == 1).mean()), folder / "errors.png")
    write_text(folder / "errors.md", errors_markdown(table, about, sections, worst, folder))
    return errors_markdown(table, about, sections, worst)


def main() -> None:
    """Entry point."""
    from flags.reports import parse_errors_arguments

    args = parse_errors_arguments()
    source = Path(args.run)
    target = Path(args.output or source / "errors")
    for file in find_tables(source):
        folder = target / file.parent.relative_to(source)
        print(report_errors(file, folder, args.worst))
        print(f"Written: {folder / 'errors.md'}, {folder / 'errors.png'}\n")


if __name__ == "__main__":
    run(main)
