"""From settings classes to an argument parser, with errors in one line."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any

from commons.errors import UsageError, in_flags
from flags.settings import flag_of, has_sections, sections_of, title

EXPLAIN = "print the paper, formula and options of an entry, and exit"


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError instead of leaving the program."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter, **options)

    def error(self, message: str) -> None:
        raise UsageError(f"{message} (see python {self.prog} --help)")


class _Explain(argparse.Action):
    """Prints what a registry says of one of its entries, and ends the program."""

    def __init__(self, explain: Callable[[str], str], **options: Any) -> None:
        super().__init__(default=argparse.SUPPRESS, metavar="NAME", **options)
        self.explain = explain

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        print(in_flags(self.explain(values)))
        parser.exit()


def make_parser(prog: str, description: str, settings: type) -> Parser:
    """Returns the parser of a program: a group for each section of its settings, a flag for each field."""
    parser = Parser(prog=prog, description=description)
    if not has_sections(settings):
        add_section(parser, settings)
        return parser
    for section in sections_of(settings).values():
        add_section(parser.add_argument_group(title(section)), section)
    return parser


def add_section(group: argparse._ActionsContainer, section: type) -> None:
    """Adds a flag for each field of a settings class."""
    for declared in fields(section):
        _add(group, declared)


def default_of(declared: Field) -> Any:
    """Returns the default of a field of a settings class."""
    return declared.default if declared.default_factory is MISSING else declared.default_factory()


def _add(group: argparse._ActionsContainer, declared: Field) -> None:
    flag, name = flag_of(declared), declared.name
    options: dict[str, Any] = {"help": flag.help.replace("%", "%%")}
    if not (flag.positional and flag.nargs is None):
        options["default"] = default_of(declared)
    if declared.type in (bool, bool | None):
        options["action"] = argparse.BooleanOptionalAction
    else:
        for key in ("choices", "metavar", "nargs", "const"):
            if getattr(flag, key) is not None:
                options[key] = getattr(flag, key)
        if flag.parse is not None:
            options["type"] = flag.parse
    group.add_argument(name if flag.positional else f"--{name}", **options)
    for alias, value in (flag.aliases or {}).items():
        group.add_argument(
            f"--{alias}", dest=name, action="store_const", const=value, default=argparse.SUPPRESS,
            help=f"the same as --{name} {value}",
        )  # fmt: skip
    if flag.explain is not None:
        group.add_argument(
            f"--help_{flag.explain_name or name}", dest="help", action=_Explain, explain=flag.explain,
            help=EXPLAIN,
        )  # fmt: skip


def flags_given(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> dict[str, Any]:
    """Returns the flags that stand on the command line, without defaults."""
    defaults = [action.default for action in parser._actions]
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    try:
        return vars(parser.parse_args(arguments))
    finally:
        for action, default in zip(parser._actions, defaults, strict=True):
            action.default = default
