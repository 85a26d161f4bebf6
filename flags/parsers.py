"""From settings classes to an argument parser, with errors in one line."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any

from commons.errors import UsageError, did_you_mean, in_flags
from flags.settings import flag_of, has_sections, is_for, sections_of, title

EXPLAIN = "print the paper, formula and options of NAME, and exit"


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError instead of leaving the program."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_Formatter, **options)

    def error(self, message: str) -> None:
        unknown = message.removeprefix("unrecognized arguments: ").split()[0]
        hint = did_you_mean(unknown, self._option_string_actions) if unknown.startswith("--") else ""
        raise UsageError(f"{message}{hint} (see python {self.prog} --help)")


class _Formatter(argparse.HelpFormatter):
    """Shows the defaults that say something, and programs as they are called."""

    def add_usage(self, usage: str | None, actions: Any, groups: Any, prefix: str | None = None) -> None:
        super().add_usage(usage, actions, groups, "usage: python " if prefix is None else prefix)

    def _get_help_string(self, action: argparse.Action) -> str:
        default = default_text(action.default)
        return (action.help or "") + (f" (default: {default})".replace("%", "%%") if default else "")


def default_text(default: Any) -> str:
    """Returns a default as it is typed; "" where it means that nothing is given."""
    if default is None or default is False or default in ("", [], {}, argparse.SUPPRESS):
        return ""
    return ",".join(map(str, default)) if isinstance(default, list) else str(default)


class _Explain(argparse.Action):
    """Prints what a registry says of one of its entries, and ends the program."""

    def __init__(self, explain: Callable[[str], str], **options: Any) -> None:
        super().__init__(default=argparse.SUPPRESS, metavar="NAME", **options)
        self.explain = explain

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        print(in_flags(self.explain(values)))
        parser.exit()


def make_parser(prog: str, description: str, settings: type, task: str | None = None, epilog: str = "") -> Parser:
    """Returns the parser of a program: a group for each section of its settings, a flag for each field.

    Args:
        prog: the program.
        description, epilog: what --help says before and after the flags.
        settings: class of its settings.
        task: --help shows the flags that are for this task; None for all.
    """
    parser = Parser(prog=prog, description=description, epilog=epilog)
    if not has_sections(settings):
        add_section(parser, settings)
        return parser
    for section in sections_of(settings).values():
        group = parser.add_argument_group(title(section))
        add_section(group, section)
        if task is not None and not is_for(section, task):
            for action in group._group_actions:
                action.help = argparse.SUPPRESS
    return parser


def add_section(group: argparse._ActionsContainer, section: type) -> None:
    """Adds a flag for each field of a settings class."""
    for declared in fields(section):
        _add(group, declared)


def default_of(declared: Field) -> Any:
    """Returns the default of a field of a settings class."""
    return declared.default if declared.default_factory is MISSING else declared.default_factory()


def metavar_of(declared: Field) -> str | None:
    """Returns what stands for the value of a flag in help texts; None for switches and for flags with choices."""
    return flag_of(declared).metavar or {int: "N", int | None: "N", float: "X"}.get(declared.type)


def _add(group: argparse._ActionsContainer, declared: Field) -> None:
    flag, name = flag_of(declared), declared.name
    options: dict[str, Any] = {"help": flag.help.replace("%", "%%")}
    if not (flag.positional and flag.nargs is None):
        options["default"] = default_of(declared)
    if declared.type in (bool, bool | None):
        options["action"] = argparse.BooleanOptionalAction
    else:
        for key in ("choices", "nargs", "const"):
            if getattr(flag, key) is not None:
                options[key] = getattr(flag, key)
        options["metavar"] = metavar_of(declared)
        if flag.parse is not None:
            options["type"] = flag.parse
    action = group.add_argument(name if flag.positional else f"--{name}", **options)
    action.help = options["help"]  # before Python 3.13, BooleanOptionalAction adds the default
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
    absent = object()
    blank = argparse.Namespace(**{action.dest: absent for action in parser._actions})
    return {name: value for name, value in vars(parser.parse_args(arguments, blank)).items() if value is not absent}
