"""Settings of tools.tune and tools.lr_range, whose command lines end in `-- FLAGS OF train.py`."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from commons.errors import UsageError
from commons.files import check_writable
from flags import values
from flags.parsers import make_parser
from flags.settings import build, setting

OF_A_TRIAL = ("output_folder", "save_dir", "resume_train")
AFTER = "The flags of train.py follow after --."


def searched(text: str) -> tuple[str, str]:
    """Splits NAME=VALUES; `training.search.Dimension` reads the values."""
    name, _, spec = text.partition("=")
    if not name or not spec:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form FLAG=LOW:HIGH, FLAG=LOW:HIGH:log or FLAG=A,B,C")
    return name.removeprefix("--"), spec


def at_least_ten(text: str) -> int:
    return int(values.at_least(text, int, 10))


@dataclass(frozen=True)
class TuneSettings:
    """Settings of tools.tune."""

    search: list[tuple[str, str]] = setting(
        [],
        "flags of train.py to search: FLAG=LOW:HIGH, FLAG=LOW:HIGH:log on a logarithmic scale, or the values "
        "FLAG=A,B,C (FLAG=A|B where values contain commas)",
        searched,
        metavar="FLAG=VALUES",
        nargs="+",
    )
    trials: int = setting(20, "number of trials, including those of an interrupted study", values.positive)
    startup_trials: int = setting(
        5,
        "the first N trials draw their flags at random and run to the end; later trials draw flags near those of good "
        "trials, and stop after an epoch whose validation result is worse than the median of the complete trials",
        values.positive,
        metavar="N",
    )
    seed: int = setting(0, "seed of the search; the trials have that of train.py", values.seed)
    output: str = setting("logs/tune/default", "write the study and the runs to this folder", metavar="DIR")


@dataclass(frozen=True)
class LrRangeSettings:
    """Settings of tools.lr_range."""

    lowest: float = setting(1e-7, "learning rate of the first iteration", values.positive_float)
    highest: float = setting(1.0, "learning rate of the last iteration", values.positive_float)
    iterations: int = setting(100, "number of iterations", at_least_ten)
    output: str = setting("lr_range.png", "write the plot to FILE, .png", metavar="FILE")


def split(arguments: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Returns the flags before the first `--` and those after it."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    cut = given.index("--") if "--" in given else len(given)
    return given[:cut], given[cut + 1 :]


def refuse(arguments: Sequence[str], reasons: Mapping[str, str]) -> None:
    """Raises UsageError if flags of train.py contain one for which there is a reason against it."""
    for argument in arguments:
        name = argument.partition("=")[0].removeprefix("--")
        if argument.startswith("--") and name in reasons:
            raise UsageError(f"--{name}: {reasons[name]}")


def parse_tune_settings(arguments: Sequence[str] | None = None) -> tuple[TuneSettings, list[str]]:
    """Reads the flags of tools.tune; returns its settings and the flags of train.py.

    Raises:
        UsageError: if a flag is wrong, or nothing is searched.
    """
    own, train = split(arguments)
    parser = make_parser("-m tools.tune", f"Search the best flags of train.py with Optuna. {AFTER}", TuneSettings)
    args = parser.parse_args(own)
    if not args.search:
        raise UsageError("--search is missing: name flags to search, such as --search lr=1e-5:1e-3:log")
    names = [name for name, _ in args.search]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--search: {name} is given twice")
    each = "belongs to each trial; leave it out"
    refuse(train, dict.fromkeys(names, "is searched; leave it out after --") | dict.fromkeys(OF_A_TRIAL, each))
    refuse([f"--{name}" for name in names], dict.fromkeys(OF_A_TRIAL, each))
    check_writable(Path(args.output), "output")
    return build(TuneSettings, vars(args)), train


def parse_lr_range_settings(arguments: Sequence[str] | None = None) -> tuple[LrRangeSettings, list[str]]:
    """Reads the flags of tools.lr_range; returns its settings and the flags of train.py.

    Raises:
        UsageError: if a flag is wrong.
    """
    own, train = split(arguments)
    parser = make_parser(
        "-m tools.lr_range", f"Plot the loss while the learning rate rises. {AFTER}", LrRangeSettings
    )  # fmt: skip
    args = parser.parse_args(own)
    refuse(train, {"resume_train": "the range test begins with a new network; leave it out"})
    if args.lowest >= args.highest:
        raise UsageError(f"--lowest {args.lowest:g} must be below --highest {args.highest:g}")
    if not args.output.lower().endswith(".png") or Path(args.output).is_dir():
        raise UsageError(f"--output {args.output}: must be a file that ends in .png")
    check_writable(Path(args.output).parent, "output")
    return build(LrRangeSettings, vars(args)), train
