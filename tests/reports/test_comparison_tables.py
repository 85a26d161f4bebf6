import csv
import io
import re
from pathlib import Path

import pytest

from reports.comparison import Cell, Configuration
from reports.comparison_tables import (
    comparison_csv,
    comparison_latex,
    comparison_markdown,
    comparison_table,
    differences_table,
    latex_escape,
)
from reports.run_folders import Run


def configuration(label: str, cells: dict, seeds: tuple[int, ...] = (0,), **settings: object) -> Configuration:
    runs = [Run(Path(f"logs/{label}{seed}"), settings, (label, seed), seed, "c0ffee", {}, {}) for seed in seeds]
    return Configuration(label, runs, settings, cells, len(seeds))


def two() -> list[Configuration]:
    both = {
        ("sf_xs/test", "R@1"): Cell(73.0, 3.606, 2),
        ("sf_xs/test", "R@5"): Cell(80.0, 0.0, 2),
        ("tokyo", "R@1"): Cell(30.0, None, 1),
        "dimension": Cell(512, 0.0, 2),
        "parameters": Cell(11_439_169, 0.0, 2),
        "training_seconds": Cell(5400, 600, 2),
    }
    return [
        configuration("a_b", both, (0, 1), backbone="R&D", lr=1e-05),
        configuration("c", {("sf_xs/test", "R@1"): Cell(60.0, None, 1)}, backbone="R&D", lr=None),
    ]


def test_markdown():
    assert (
        comparison_markdown(two())
        == """\
| configuration | n | sf_xs/test R@1 | sf_xs/test R@5 | tokyo R@1 | dimension | parameters (M) | training (min) |
| :-- | --: | --: | --: | --: | --: | --: | --: |
| a_b | 2 | 73.0 ± 3.6 | 80.0 ± 0.0 | 30.0 (n=1) | 512 | 11.44 | 90.0 ± 10.0 |
| c | 1 | 60.0 | – | – | – | – | – |

| configuration | lr | seeds | code | runs |
| :-- | --: | --: | --: | --: |
| a_b | 1e-05 | 0, 1 | c0ffee | logs/a_b0, logs/a_b1 |
| c | – | 0 | c0ffee | logs/c0 |
"""
    )


@pytest.mark.parametrize(
    ("seconds", "heading", "text"), [(7200, "(h)", "2.0"), (7199, "(min)", "120.0"), (90, "(s)", "90.0")]
)
def test_unit_of_time(seconds: float, heading: str, text: str):
    header, row = comparison_table([configuration("a", {"training_seconds": Cell(seconds, None, 1)})])
    assert (header[-1], row[-1]) == (f"training {heading}", text)


def test_runs_of_several_tasks_have_the_columns_of_all():
    """One decimal for recalls; three digits of the largest value in the column for other figures."""
    toy = {("y", "mean error"): Cell(0.0318, 0.002, 2), ("x/test", "R@1"): Cell(0.2, None, 2)}
    configurations = [
        configuration("place", {("x/test", "R@1"): Cell(0.5, None, 1), ("x/test", "R@5"): Cell(0.75, None, 1)}),
        configuration("toy", toy, (0, 1)),
        configuration("other toy", {("y", "mean error"): Cell(0.02, None, 1)}),
    ]
    assert (
        comparison_markdown(configurations).partition("\n\n")[0]
        == """\
| configuration | n | x/test R@1 | x/test R@5 | y mean error |
| :-- | --: | --: | --: | --: |
| place | 1 | 0.5 | 0.8 | – |
| toy | 2 | 0.2 | – | 0.0318 ± 0.0020 |
| other toy | 1 | – | – | 0.0200 |"""
    )
    header = next(csv.reader(io.StringIO(comparison_csv(configurations))))
    assert header[2:11:3] == ["x/test R@1", "x/test R@5", "y mean error"]


def test_csv_is_unrounded_and_in_base_units():
    first, second = csv.DictReader(io.StringIO(comparison_csv(two())))
    assert float(first["sf_xs/test R@1 deviation"]) == 3.606
    assert float(first["training_seconds"]) == 5400
    assert (first["tokyo R@1"], first["tokyo R@1 deviation"], first["tokyo R@1 n"]) == ("30.0", "", "1")
    assert (second["tokyo R@1"], second["tokyo R@1 n"], second["lr"]) == ("", "0", "")
    assert first["parameters"] == "11439169" and first["lr"] == "1e-05"
    named = [configuration(name, {}, resume_model=f"logs/2–{name}.pth") for name in "ab"]
    assert next(csv.DictReader(io.StringIO(comparison_csv(named))))["resume_model"] == "logs/2–a.pth"


def test_latex():
    text = comparison_latex(two())
    assert r" &  & \multicolumn{2}{c}{sf\_xs/test} & \multicolumn{1}{c}{tokyo} &  &  &  \\" in text
    assert r"\cmidrule(lr){3-4}\cmidrule(lr){5-5}" in text
    assert r"a\_b & 2 & 73.0 $\pm$ 3.6 & 80.0 $\pm$ 0.0 & 30.0 (n=1) & 512 & 11.44 & 90.0 $\pm$ 10.0 \\" in text
    assert "logs/" not in text
    for tabular in re.findall(r"\\begin{tabular}{(\w+)}(.*?)\\end{tabular}", text, re.DOTALL):
        columns, body = tabular
        for row in re.findall(r"^.*\\\\$", body, re.MULTILINE):
            spans = [int(width) - 1 for width in re.findall(r"\\multicolumn{(\d)}", row)]
            assert len(re.findall(r"(?<!\\)&", row)) + 1 + sum(spans) == len(columns)
    assert text.isascii()


def test_escapes():
    assert latex_escape(r"50% of $a_{b}^2$ & #1 ~ \x") == (
        r"50\% of \$a\_\{b\}\textasciicircum{}2\$ \& \#1 \textasciitilde{} \textbackslash{}x"
    )


def test_one_configuration_has_no_differences():
    header, row = differences_table(two()[:1])
    assert header == ["configuration", "seeds", "code", "runs"]
