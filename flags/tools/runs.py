"""Settings of the tools that read the folders of runs: compare, errors, confidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from commons.files import check_writable
from flags import values
from flags.parsers import make_parser
from flags.settings import build, setting


@dataclass(frozen=True)
class CompareSettings:
    """Settings of tools.compare."""

    runs: list[str] = setting(
        [],
        "folders of runs of train.py and eval.py, or folders that contain such folders",
        metavar="FOLDER",
        nargs="+",
        positional=True,
    )
    output: str | None = setting(None, "write compare.md, compare.csv, compare.tex and pictures to DIR", metavar="DIR")
    sort: bool = setting(False, "sort by result, best first; by default, in the order given")


@dataclass(frozen=True)
class ErrorsSettings:
    """Settings of tools.errors."""

    run: str = setting("", "folder of a run of train.py or eval.py", metavar="FOLDER", positional=True)
    output: str | None = setting(
        None, "folder to write to; by default, errors/ in the folder of the run", metavar="DIR"
    )
    worst: int = setting(20, "number of queries to list, worst first", values.natural, metavar="N")


@dataclass(frozen=True)
class ConfidenceSettings:
    """Settings of tools.confidence."""

    run: str = setting("", "folder of a run of train.py or eval.py", metavar="FOLDER", positional=True)
    output: str | None = setting(
        None, "folder to write to; by default, confidence/ in the folder of the run", metavar="DIR"
    )


def parse_compare_settings(arguments: Sequence[str] | None = None) -> CompareSettings:
    """Reads and checks the flags of tools.compare."""
    args = make_parser("-m tools.compare", "Compare the results of runs.", CompareSettings).parse_args(arguments)
    if args.output:
        check_writable(Path(args.output), "output")
    return build(CompareSettings, vars(args))


def parse_errors_settings(arguments: Sequence[str] | None = None) -> ErrorsSettings:
    """Reads and checks the flags of tools.errors."""
    parser = make_parser("-m tools.errors", "Show for which queries a network finds the correct place.", ErrorsSettings)
    args = parser.parse_args(arguments)
    if args.output:
        check_writable(Path(args.output), "output")
    return build(ErrorsSettings, vars(args))


def parse_confidence_settings(arguments: Sequence[str] | None = None) -> ConfidenceSettings:
    """Reads and checks the flags of tools.confidence."""
    parser = make_parser(
        "-m tools.confidence", "Show how reliable the confidence of predictions is.", ConfidenceSettings
    )
    args = parser.parse_args(arguments)
    if args.output:
        check_writable(Path(args.output), "output")
    return build(ConfidenceSettings, vars(args))
