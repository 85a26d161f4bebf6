"""The argument parser: errors in one line, switches that can be taken back, help on registries."""

import argparse
from collections.abc import Callable, Sequence

from commons.errors import UsageError, in_flags


class Parser(argparse.ArgumentParser):
    def __init__(self, **options: object) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter, **options)

        self.register("action", "store_true", _Switch)

    def error(self, message: str) -> None:
        raise UsageError(f"{message} (see python {self.prog} --help)")


class _Switch(argparse.BooleanOptionalAction):
    """A flag that a configuration file may set and the command line take back, as --no-<flag>."""

    def __init__(self, **options: object) -> None:
        super().__init__(default=False, **options)


class HelpEntry(argparse.Action):
    def __init__(self, describe: Callable[[str], str], **options: object) -> None:
        super().__init__(default=argparse.SUPPRESS, metavar="NAME", **options)
        self.describe = describe

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: str, option: str | None = None
    ) -> None:
        print(in_flags(self.describe(values)))
        parser.exit()


def flags_given(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> dict:
    """The flags that stand on the command line, without defaults."""
    defaults = [action.default for action in parser._actions]
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    given = vars(parser.parse_args(arguments))
    for action, default in zip(parser._actions, defaults, strict=True):
        action.default = default
    return given
