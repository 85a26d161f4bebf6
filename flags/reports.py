"""Flags of tools.compare and tools.errors. They import no network, so that both start at once."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from commons.files import check_writable
from flags import values
from flags.parsers import Parser


def compare_parser() -> argparse.ArgumentParser:
    """Returns the parser of tools.compare."""
    parser = Parser(prog="-m tools.compare", description="Put the results of runs side by side.")
    parser.add_argument(
        "runs", metavar="FOLDER", nargs="+", help="folders of runs of train.py and eval.py, or folders with such inside"
    )
    parser.add_argument(
        "--output", metavar="DIR", help="write compare.md, compare.csv, compare.tex and pictures to DIR"
    )
    parser.add_argument("--sort", action="store_true", help="best R@1 first, instead of the order given")
    return parser


def errors_parser() -> argparse.ArgumentParser:
    """Returns the parser of tools.errors."""
    parser = Parser(prog="-m tools.errors", description="Show where a network finds the right place and where not.")
    parser.add_argument("run", metavar="FOLDER", help="folder of a run of train.py or eval.py")
    parser.add_argument("--output", metavar="DIR", help="where to write; by default errors/ in the run's folder")
    parser.add_argument("--worst", type=values.natural, default=20, metavar="N", help="list the N worst queries")
    return parser


def parse_compare_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of tools.compare."""
    args = compare_parser().parse_args(arguments)
    if args.output:
        check_writable(Path(args.output), "output")
    return args


def parse_errors_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of tools.errors."""
    args = errors_parser().parse_args(arguments)
    if args.output:
        check_writable(Path(args.output), "output")
    return args
