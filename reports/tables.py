"""Tables of results: for documents (Markdown), for the console (plain text) and for programs (JSON)."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from commons.files import write_text
from reports.numbers import by_numbers, decimals, is_recall

Results = Mapping[str, Mapping[str, float | int | bool | list]]
Table = list[list[str]]

MISSING = "–"
TRANSDUCTIVE_NOTE = "Transductive (the network was adapted to images of the set itself): "
ACROSS_BATCH_NOTE = "Descriptors depend on the other images of their batch (of this many images): "
SECONDS = {
    "extraction s": "describing_seconds",
    "fitting s": "fitting_seconds",
    "search s": "searching_seconds",
}
STEP_RECALLS, RERANKED_RECALLS = 10, 20  # the largest N of recall@N in a table of steps
ANSWERABLE_NOTE = "Over answerable queries only (those with a positive in the database):"
STEPS_NOTE = (
    "{}, step by step. The gain is in points over the row above, for an ensemble over its best model. The last row is "
    "the result in the tables above."
)
INSTEAD = "or "  # begins the name of a step that is taken instead of the one before
INSTEAD_NOTE = ' The row that begins with "or" is instead of the row above: its gain is over the row before that.'
SHORT_HEADINGS = {
    "extraction s": "extract s",
    "fitting s": "fit s",
    "bytes a descriptor": "bytes",
    "database MB": "MB",
}
CEILING = "R@1 at most"
CONSOLE_WIDTH = 100
CONFIDENCE_NOTE = (
    "{}: how well measures of confidence tell whether the first prediction is right: area under the precision-recall "
    "curve, and recall at 100 % precision."
)
SEQUENCES_NOTE = (
    "{}: database and queries are sequences of {} frames, {} by {}; one counts as correct if any of its frames is."
)
MIDDLE_NOTE = " By their middle frames alone, as single images are judged: {}."
SKIPPED_NOTE = "Skipped because they cannot be decoded: "


def results_markdown(results: Results, names: Sequence[str] | None = None) -> str:
    """Writes results as GitHub tables.

    Args:
        results: figures by name of each test set. Every task may have the counts "database" and "queries", and
            "skipped_database" and "skipped_queries" of images that could not be decoded and are not among them.
            Place recognition has recalls in percent ("R@1", "R@5", ..., and "answerable R@1", ... over queries with
            positives), the count "queries_without_positives", "transductive" where that is known,
            "encodes_across_batch" with "batch_size" of networks that see a batch at once, and "test_time", the rows of
            `tasks.steps.Steps`, where anything was done at test time.
        names: the figures to show in a single table, for a task without tables of its own; None for the tables of
            place recognition.

    Returns:
        Without `names` a table over all queries, one over the answerable queries of sets that have others too, the
        names of transductive results, a table of steps of each set with "test_time", and one of measures of confidence
        of each set with "confidence", which the console does not show. With `names` one table. Under
        the first table a line with the images that were skipped, if any.
    """
    text = _render(results, markdown_table, names=names)
    for name, values in results.items() if names is None else ():
        if figures := values.get("confidence"):
            table = [["confidence", *next(iter(figures.values()))], *confidence_rows(figures)]
            text += f"\n{CONFIDENCE_NOTE.format(name)}\n\n{markdown_table(table)}\n"
    return text


def confidence_rows(figures: Mapping[str, Mapping[str, float]]) -> Table:
    """Returns a row for each measure of confidence, the one with the largest area first."""
    order = sorted(figures.items(), key=lambda own: -next(iter(own[1].values())))
    return [[name, *(f"{value:.1f}" for value in own.values())] for name, own in order]


def results_text(results: Results, what: str = "test set", names: Sequence[str] | None = None) -> str:
    """Writes what `results_markdown` does as aligned plain text for the console; `what` is the heading of the names."""
    return _render(results, text_table, what, names)


def save_results(results: Results, folder: Path, names: Sequence[str] | None = None, more: str = "") -> None:
    """Writes `results` to results.json in `folder`, and what `results_markdown` returns, with `more`, to results.md."""
    # `item` turns NumPy scalars and one-element tensors into plain numbers.
    text = json.dumps(results, indent=2, default=lambda value: value.item())
    write_text(Path(folder) / "results.json", text + "\n")
    write_text(Path(folder) / "results.md", results_markdown(results, names) + more)


def figures_table(results: Results, names: Sequence[str], digits: int | None = 1, what: str = "test set") -> Table:
    """Returns a table with a row for each test set and a column for each figure.

    Args:
        results: figures by name of each test set.
        names: names of the figures to show.
        digits: decimals; None for as many as `reports.numbers.decimals` finds that a column needs. Whole numbers, which
            are counts, have none.
        what: heading of the names of the sets.
    """
    columns = {name: [values.get(name) for values in results.values()] for name in names}
    texts = [
        [_figure(value, decimals(name, filter(None, column)) if digits is None else digits) for value in column]
        for name, column in columns.items()
    ]
    return [[what, *names], *([name, *(column[row] for column in texts)] for row, name in enumerate(results))]


def skipped_note(results: Results) -> str:
    """Returns a line that counts the images that could not be decoded: "" if there are none."""
    parts = []
    for name, values in results.items():
        counts = [
            f"{values[f'skipped_{key}']} of {values.get(key, 0) + values[f'skipped_{key}']} {images}"
            for key, images in (("database", "database images"), ("queries", "queries"))
            if values.get(f"skipped_{key}")
        ]
        parts += [f"{', '.join(counts)} ({name})"] if counts else []
    return SKIPPED_NOTE + "; ".join(parts) if parts else ""


def _render(
    results: Results,
    render: Callable[[Table], str],
    what: str = "test set",
    names: Sequence[str] | None = None,
) -> str:
    if names is None:
        parts = _place_recognition_parts(results, render, what)
    else:
        parts = [render(figures_table(results, names, digits=None, what=what))]
    parts[1:1] = filter(None, [skipped_note(results)])
    return "\n\n".join(parts) + "\n"


def _place_recognition_parts(results: Results, render: Callable[[Table], str], what: str) -> list[str]:
    parts = [render(_main_table(results, what))]
    partly = {
        name: values
        for name, values in results.items()
        if 0 < values.get("queries_without_positives", 0) < values.get("queries", math.inf)
    }
    if partly:
        parts += [ANSWERABLE_NOTE, render(_answerable_table(partly, what))]
    seen = [name for name, values in results.items() if values.get("transductive")]
    if seen:
        parts.append(TRANSDUCTIVE_NOTE + ", ".join(seen))
    parts += [_sequences_note(name, values["sequences"]) for name, values in results.items() if "sequences" in values]
    across = [f"{name} ({own['batch_size']})" for name, own in results.items() if own.get("encodes_across_batch")]
    if across:
        parts.append(ACROSS_BATCH_NOTE + ", ".join(across))
    for name, values in results.items():
        if steps := values.get("test_time"):
            note = STEPS_NOTE + INSTEAD_NOTE * any(step["step"].startswith(INSTEAD) for step in steps)
            parts += [note.format(name), _steps_text(steps) if render is text_table else render(_steps_table(steps))]
    return parts


def _sequences_note(name: str, sequences: Mapping[str, Any]) -> str:
    note = SEQUENCES_NOTE.format(name, *(sequences[key] for key in ("length", "mode", "method")))
    middle = sequences.get("middle_frames")
    if middle is None:
        return note
    return note + MIDDLE_NOTE.format(", ".join(f"{key} {_percent(value)}" for key, value in middle.items()))


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
    reranked = any("ceiling_of" in step for step in steps)
    most = RERANKED_RECALLS if reranked else STEP_RECALLS
    recalls = [name for name in by_numbers(filter(is_recall, steps[0])) if float(name[2:]) <= most]
    gain = [f"gain {'/'.join(recalls)}"] if recalls else []
    added = {CEILING: _ceiling, "s a query": _seconds_a_query} if reranked else {}
    rows = [
        [
            step["step"],
            *(_percent(step[name]) for name in recalls),
            *(_gain([step[f"gain {name}"] for name in recalls]) for _ in gain),
            *(MISSING if step[key] is None else f"{step[key]:.2f}" for key in SECONDS.values()),
            _count(step["bytes_a_descriptor"]),
            f"{step['table_bytes'] / 1e6:.1f}",
            *(column(step) for column in added.values()),
        ]
        for step in steps
    ]
    return [["step", *recalls, *gain, *SECONDS, "bytes a descriptor", "database MB", *added], *rows]


def _steps_text(steps: list[Mapping[str, str | float | None]]) -> str:
    """Writes a table of steps for the console.

    Headings are short, the gain is that of R@1, and costs that are the same in all rows are left out; so is the R@1
    that re-ranking cannot exceed if it is in a column of its own. What is wider than CONSOLE_WIDTH becomes two tables:
    recalls and costs.
    """
    names, *columns = (list(column) for column in zip(*_steps_table(steps), strict=True))
    shown = {f"R@{step['ceiling_of']}" for step in steps if "ceiling_of" in step} <= {column[0] for column in columns}
    recalls, costs = [], []
    for heading, *cells in columns:
        if heading.startswith("gain "):
            recalls.append([own.partition("/")[0] for own in (heading, *cells)])
        elif is_recall(heading):
            recalls.append([heading, *cells])
        elif (len(steps) == 1 or len(set(cells)) > 1) and not (shown and heading == CEILING):
            costs.append([SHORT_HEADINGS.get(heading, heading), *cells])
    both = [names, *recalls, *costs]
    wide = len(text_table(_turned(both)).partition("\n")[0]) > CONSOLE_WIDTH
    return "\n\n".join(text_table(_turned(own)) for own in ([[names, *recalls], [names, *costs]] if wide else [both]))


def _turned(columns: Table) -> Table:
    return [list(row) for row in zip(*columns, strict=True)]


def _ceiling(step: Mapping[str, str | float | None]) -> str:
    """Returns the R@1 that re-ranking cannot exceed, and that it is R@K."""
    value = step.get("ceiling")
    return MISSING if value is None else f"{value:.1f} (R@{step['ceiling_of']})"


def _seconds_a_query(step: Mapping[str, str | float | None]) -> str:
    value = step.get("seconds_a_query")
    return MISSING if value is None else f"{value:.3f}"


def _gain(points: list[float | None]) -> str:
    return MISSING if None in points else "/".join(f"{value:+.1f}" for value in points)


def _answerable_count(values: Mapping[str, float | int]) -> float | None:
    queries = values.get("queries")
    return None if queries is None else queries - values["queries_without_positives"]


def _recall_names(results: Results, prefix: str) -> list[str]:
    """Returns the names of the recalls of any set, in ascending k."""
    names = {name for values in results.values() for name in values if re.fullmatch(rf"{prefix}R@\d+", name)}
    return sorted(names, key=lambda name: int(name.rpartition("@")[2]))


def _figure(value: float | None, digits: int) -> str:
    if value is None or math.isnan(value):
        return MISSING
    return f"{value}" if isinstance(value, Integral) else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return MISSING if value is None or math.isnan(value) else f"{value:.1f}"


def _count(value: float | None) -> str:
    return MISSING if value is None else f"{value:.0f}"


def markdown_table(table: Table) -> str:
    """Writes a table for GitHub."""
    header, *rows = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in table]
    rule = [":--", *["--:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *rows])


def text_table(table: Table) -> str:
    """Writes a table as plain text, names to the left and numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    padded = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in table]
    lines = ["  ".join([row[0].ljust(widths[0]), *cells[1:]]) for row, cells in zip(table, padded, strict=True)]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
