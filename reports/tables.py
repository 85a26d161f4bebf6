"""Result tables: for documents (Markdown), for the console (plain text) and for programs (JSON)."""

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from commons.files import write_text

Results = Mapping[str, Mapping[str, float | int | bool | list]]
Table = list[list[str]]

MISSING = "–"
TRANSDUCTIVE_NOTE = "Transductive (the network was adapted to images of the set itself): "
SECONDS = {
    "describing s": "describing_seconds",
    "fitting s": "fitting_seconds",
    "searching s": "searching_seconds",
}
STEP_RECALLS = ("R@1", "R@5", "R@10")
ANSWERABLE_NOTE = "Over answerable queries only (those with a positive in the database):"
STEPS_NOTE = (
    "{}, step by step (gain: points over the row above, of an ensemble over its best model; the last row is what the "
    "tables above give):"
)


def results_markdown(results: Results) -> str:
    """Writes results as GitHub tables.

    Args:
        results: For each test set its recalls in percent ("R@1", "R@5", ..., and "answerable R@1", ... over queries
            with positives), its counts "database", "queries" and "queries_without_positives", "transductive" where
            that is known, and where anything was done at test time "test_time": the rows of tasks.steps.Steps.

    Returns:
        A table over all queries, where a set has queries without positives one over the answerable ones, the names of
        transductive results, and for each set with "test_time" a table of its steps.
    """
    return _render(results, markdown_table)


def results_text(results: Results, what: str = "test set") -> str:
    """Writes the tables of `results_markdown` as aligned plain text for the console; `what` heads the names."""
    return _render(results, _text_table, what)


def save_results(results: Results, folder: Path) -> None:
    """Writes `results` to results.json and its tables to results.md in `folder`."""
    # `item` turns NumPy scalars and one-element tensors into plain numbers.
    text = json.dumps(results, indent=2, default=lambda value: value.item())
    write_text(Path(folder) / "results.json", text + "\n")
    write_text(Path(folder) / "results.md", results_markdown(results))


def _render(results: Results, render: Callable[[Table], str], what: str = "test set") -> str:
    parts = [render(_main_table(results, what))]
    partly = {name: values for name, values in results.items() if values.get("queries_without_positives")}
    if partly:
        parts += [ANSWERABLE_NOTE, render(_answerable_table(partly, what))]
    seen = [name for name, values in results.items() if values.get("transductive")]
    if seen:
        parts.append(TRANSDUCTIVE_NOTE + ", ".join(seen))
    for name, values in results.items():
        if steps := values.get("test_time"):
            parts += [STEPS_NOTE.format(name), render(_steps_table(steps))]
    return "\n\n".join(parts) + "\n"


def _main_table(results: Results, what: str) -> Table:
    recalls = _recall_names(results, "")
    counts = {"database": "database", "queries": "queries", "no positive": "queries_without_positives"}
    rows = [
        [name, *(_percent(values.get(key)) for key in recalls), *(_count(values.get(key)) for key in counts.values())]
        for name, values in results.items()
    ]
    return [[what, *recalls, *counts], *rows]


def _answerable_table(results: Results, what: str) -> Table:
    recalls = _recall_names(results, "answerable ")
    rows = [
        [name, *(_percent(values.get(key)) for key in recalls), _count(_answerable_count(values))]
        for name, values in results.items()
    ]
    return [[what, *(key.removeprefix("answerable ") for key in recalls), "answerable queries"], *rows]


def _steps_table(steps: list[Mapping[str, str | float | None]]) -> Table:
    recalls = [name for name in STEP_RECALLS if name in steps[0]]
    gain = [f"gain {'/'.join(recalls)}"] if recalls else []
    rows = [
        [
            step["step"],
            *(_percent(step[name]) for name in recalls),
            *(_gain([step[f"gain {name}"] for name in recalls]) for _ in gain),
            *(MISSING if step[key] is None else f"{step[key]:.2f}" for key in SECONDS.values()),
            _count(step["bytes_a_descriptor"]),
            f"{step['table_bytes'] / 1e6:.1f}",
        ]
        for step in steps
    ]
    return [["step", *recalls, *gain, *SECONDS, "bytes a descriptor", "database MB"], *rows]


def _gain(points: list[float | None]) -> str:
    return MISSING if None in points else "/".join(f"{value:+.1f}" for value in points)


def _answerable_count(values: Mapping[str, float | int]) -> float | None:
    queries = values.get("queries")
    return None if queries is None else queries - values["queries_without_positives"]


def _recall_names(results: Results, prefix: str) -> list[str]:
    """Names of the recalls of any set, in ascending k."""
    names = {name for values in results.values() for name in values if re.fullmatch(rf"{prefix}R@\d+", name)}
    return sorted(names, key=lambda name: int(name.rpartition("@")[2]))


def _percent(value: float | None) -> str:
    return MISSING if value is None or math.isnan(value) else f"{value:.1f}"


def _count(value: float | None) -> str:
    return MISSING if value is None else f"{value:.0f}"


def markdown_table(table: Table) -> str:
    header, *rows = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in table]
    rule = [":--", *["--:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *rows])


def _text_table(table: Table) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    # Names to the left, numbers to the right.
    padded = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in table]
    lines = ["  ".join([row[0].ljust(widths[0]), *cells[1:]]) for row, cells in zip(table, padded, strict=True)]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
