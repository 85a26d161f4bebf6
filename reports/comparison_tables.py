"""A comparison as Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports.comparison import Cell, Configuration, Key, differing, figure_names, setting_text, test_sets
from reports.numbers import decimals
from reports.tables import MISSING, Table, markdown_table

TIME_UNITS = (("h", 3600.0), ("min", 60.0), ("s", 1.0))
LATEX_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"$\pm$", "–": "--",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of figures.

    Attributes:
        key: key of its cells.
        name: its heading.
        above: the heading above that, which is the test set's name; "" for costs.
        scale: what its numbers are divided by.
        decimals: decimals of its numbers.
    """

    key: Key
    name: str
    above: str = ""
    scale: float = 1.0
    decimals: int = 0

    def text(self, cell: Cell | None, count: int) -> str:
        """Returns a cell as "mean ± deviation", with its number of networks where that is not the row's `count`."""
        if cell is None:
            return MISSING
        text = self.number(cell.mean)
        if cell.deviation is not None and (cell.deviation or isinstance(self.key, tuple)):
            text += f" ± {self.number(cell.deviation)}"
        return text if cell.count == count else f"{text} (n={cell.count})"

    def number(self, value: float) -> str:
        """Returns a number in the column's unit."""
        return f"{value / self.scale:.{self.decimals}f}"


def columns_of(configurations: Sequence[Configuration]) -> list[Column]:
    """Returns the columns that at least one configuration has a figure for: the figures of each test set, and costs."""
    costs = [column for column in _cost_columns(configurations) if _means(configurations, column.key)]
    return _result_columns(configurations) + costs


def _result_columns(configurations: Sequence[Configuration]) -> list[Column]:
    """Returns a column for every figure of every test set."""
    keys = [(name, figure) for name in test_sets(configurations) for figure in figure_names(configurations)]
    means = {key: _means(configurations, key) for key in keys}
    return [
        Column((name, figure), figure, name, decimals=decimals(figure, means[name, figure]))
        for name, figure in keys
        if means[name, figure]
    ]


def _means(configurations: Sequence[Configuration], key: Key) -> list[float]:
    return [own.cells[key].mean for own in configurations if key in own.cells]


def _cost_columns(configurations: Sequence[Configuration]) -> list[Column]:
    seconds = _means(configurations, "training_seconds")
    unit, scale = next(((u, s) for u, s in TIME_UNITS if seconds and max(seconds) >= 2 * s), TIME_UNITS[-1])
    return [
        Column("dimension", "dimension"),
        Column("parameters", "parameters (M)", scale=1e6, decimals=2),
        Column("gflops", "GFLOPs", decimals=2),
        Column("test_speed", "test images/s"),
        Column("training_speed", "training images/s"),
        Column("training_seconds", f"training ({unit})", scale=scale, decimals=1),
        Column("memory", "training memory (GiB)", decimals=2),
    ]


def comparison_table(configurations: Sequence[Configuration]) -> Table:
    """Returns the figures of each configuration in a row, under a single heading."""
    columns = columns_of(configurations)
    header = ["configuration", "n", *(f"{column.above} {column.name}".strip() for column in columns)]
    return [header, *_figure_rows(configurations, columns)]


def _figure_rows(configurations: Sequence[Configuration], columns: Sequence[Column]) -> Table:
    return [
        [own.label, str(own.count), *(column.text(own.cells.get(column.key), own.count) for column in columns)]
        for own in configurations
    ]


def differences_table(configurations: Sequence[Configuration]) -> Table:
    """Returns what differs between the configurations, and the runs of each."""
    names = differing([own.settings for own in configurations])
    rows = [
        [
            own.label,
            *(setting_text(own.settings, name) for name in names),
            _list(str(run.seed) for run in own.runs if run.seed is not None),
            _list(run.commit[:10] for run in own.runs if run.commit),
            _list(str(run.folder) for run in own.runs),
        ]
        for own in configurations
    ]
    return [["configuration", *names, "seeds", "code", "runs"], *rows]


def _list(texts: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(texts)) or MISSING


def comparison_markdown(configurations: Sequence[Configuration]) -> str:
    """Returns both tables for documents."""
    tables = comparison_table(configurations), differences_table(configurations)
    return "\n\n".join(map(markdown_table, tables)) + "\n"


def comparison_csv(configurations: Sequence[Configuration]) -> str:
    """Returns a row for each configuration, for programs: unrounded means, deviations and counts, then what differs.

    Times are in seconds, and counts are not scaled.
    """
    columns = columns_of(configurations)
    names = [f"{column.above} {column.name}".strip() if column.above else str(column.key) for column in columns]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    others = differences_table(configurations)
    numbers = [f"{name}{suffix}" for name in names for suffix in ("", " deviation", " n")]
    writer.writerow(["configuration", "n", *numbers, *others[0][1:]])
    for own, other in zip(configurations, others[1:], strict=True):
        cells = [own.cells.get(column.key) for column in columns]
        numbers = [x for cell in cells for x in ((cell.mean, cell.deviation, cell.count) if cell else (None, None, 0))]
        writer.writerow([own.label, own.count, *numbers, *("" if text == MISSING else text for text in other[1:])])
    return stream.getvalue()


def comparison_latex(configurations: Sequence[Configuration]) -> str:
    """Returns both tables for a paper that loads booktabs. Test sets stand above their figures."""
    columns = columns_of(configurations)
    above, rules, start = ["", ""], [], 3
    while start - 3 < len(columns):
        name = columns[start - 3].above
        width = sum(column.above == name for column in columns[start - 3 :]) if name else 1
        above.append(f"\\multicolumn{{{width}}}{{c}}{{{latex_escape(name)}}}" if name else "")
        rules += [f"\\cmidrule(lr){{{start}-{start + width - 1}}}"] if name else []
        start += width
    top = [_latex_row(above), "".join(rules)] if rules else []
    header = ["configuration", "n", *(column.name for column in columns)]
    first = _latex_table(top, [header, *_figure_rows(configurations, columns)], "l" + "r" * (len(header) - 1))
    others = [row[:-1] for row in differences_table(configurations)]  # without the folders
    return f"% needs \\usepackage{{booktabs}}\n{first}\n\n{_latex_table([], others, 'l' * len(others[0]))}\n"


def latex_escape(text: str) -> str:
    """Escapes the characters that LaTeX would read as commands, for text mode."""
    return "".join(LATEX_ESCAPES.get(character, character) for character in text)


def _latex_table(top: list[str], table: Table, alignment: str) -> str:
    header, *rows = [_latex_row(map(latex_escape, row)) for row in table]
    lines = [f"\\begin{{tabular}}{{{alignment}}}", "\\toprule", *top, header, "\\midrule", *rows, "\\bottomrule"]
    return "\n".join([*lines, "\\end{tabular}"])


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


FORMATS: dict[str, Callable[[Sequence[Configuration]], str]] = {
    "md": comparison_markdown,
    "csv": comparison_csv,
    "tex": comparison_latex,
}
