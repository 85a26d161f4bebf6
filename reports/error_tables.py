"""Where a network finds the right place and where not, as Markdown."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from reports.error_bins import Bin, Section, answerable, make_bin, ranks
from reports.tables import MISSING, Table, markdown_table


def worst_queries(table: pa.Table, threshold: float, count: int) -> pa.Table:
    """Returns wrongly answered queries that have a right image in the database, the most confident ones first.

    The confidence is the `margin`: how far the similarity of the answer is above that of every other place.

    Args:
        table: table returned by `load_predictions_table`.
        threshold: metres within which an image is right.
        count: how many to return at most.
    """
    wrong = np.flatnonzero((ranks(table) != 1) & answerable(table, threshold))
    order = np.argsort(-table["margin"].to_numpy()[wrong], kind="stable")
    return table.take(pa.array(wrong[order][:count]))


def errors_markdown(
    table: pa.Table, about: Mapping[str, Any], sections: Sequence[Section], worst: int, folder: Path | None = None
) -> str:
    """Writes all bins and the worst queries as tables.

    Args:
        table, about: of `load_predictions_table`.
        sections: sections returned by `all_sections`.
        worst: how many of the worst queries to list.
        folder: folder of the file, to link images and errors.png; None for text without links.
    """
    whole = make_bin("all queries", ranks(table))
    parts = [f"# Errors on {about['test_set']}", markdown_table(_bin_table("", [whole]))]
    parts += ["![recall by bins](errors.png)"] if folder else []
    for section in sections:
        parts += [f"## {section.title}", section.note or markdown_table(_bin_table(section.what, section.bins))]
    parts.append("## The most confident wrong answers")
    found = worst_queries(table, about["threshold"], worst)
    parts.append(markdown_table(_worst_table(found, about, folder)) if len(found) else "None.")
    missing = int((~answerable(table, about["threshold"])).sum())
    if missing:
        parts.append(f"Queries without a right image in the database are not listed: {missing}.")
    return "\n\n".join(parts) + "\n"


def _bin_table(what: str, bins: Sequence[Bin]) -> Table:
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


def _worst_table(found: pa.Table, about: Mapping[str, Any], folder: Path | None) -> Table:
    """Returns a row for each query, with links to the images that still exist."""
    rows = [["query", "first prediction", "distance", "similarity", "margin", "first right", "heading difference"]]
    for row in found.to_pylist():
        turn, right = row["nearest_turn"], row["first_right"]
        rows.append(
            [
                _link(Path(about["queries_folder"], row["query"]), folder),
                _link(Path(about["database_folder"], row["predictions"][0]), folder),
                MISSING if row["distances"] is None else f"{row['distances'][0]:.0f} m",
                f"{row['similarities'][0]:.3f}",
                f"{row['margin']:.3f}",
                MISSING if right is None else f"rank {right}",
                MISSING if turn is None else f"{turn:.0f}°",
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
