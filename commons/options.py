"""Options of a registry's entries, read off constructors: types from the signature, meanings from the docstring."""

import inspect
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from commons.errors import UsageError

Options = dict[str, int | float]
KINDS = {int: "a whole number above 0", float: "a number, 0 or more"}


@dataclass(frozen=True)
class Option:
    """An option's type, its default and its meaning."""

    kind: type
    default: int | float
    meaning: str


def check_name(flag: str, name: str, known: Iterable[str]) -> None:
    """Raises UsageError, with the nearest name, if `name` is none of those that `flag` may have."""
    if name not in known:
        raise UsageError(f"{flag} {name}: unknown{nearest(name, known)}; choose from {', '.join(known)}")


def options_of(kind: type) -> dict[str, Option]:
    """Returns the options of a class: the keyword-only parameters of its constructor."""
    parameters = inspect.signature(kind.__init__).parameters.values()
    meanings = _meanings(inspect.getdoc(kind.__init__) or "")
    return {
        parameter.name: Option(parameter.annotation, parameter.default, meanings[parameter.name])
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def read_options(name: str, kind: type, given: Mapping[str, str], written: str, help_flag: str) -> Options:
    """Returns all options of a registry's entry: those given as text, and the defaults of the others.

    Args:
        name, kind: the entry.
        given: options as text.
        written: what stands before an option's name on the command line, for messages.
        help_flag: the flag of train.py that describes an entry, for messages.

    Raises:
        UsageError: if an option is unknown or its value has another type or is out of range.
    """
    known = options_of(kind)
    for key in given:
        if key not in known:
            there = f"; it has {', '.join(known)}" if known else "; it has no options"
            raise UsageError(
                f"{written}{key}: {name} has no such option{nearest(key, known)}{there} "
                f"(see python train.py {help_flag} {name})"
            )
    return {
        key: _value(f"{written}{key}", given[key], option.kind) if key in given else option.default
        for key, option in known.items()
    }


def option_lines(kind: type) -> list[str]:
    """Returns the options of a class with their defaults and meanings, in lines to print."""
    options = options_of(kind)
    width = max((len(f"{key}={option.default}") for key, option in options.items()), default=0)
    lines = []
    for key, option in options.items():
        text = f"{f'{key}={option.default}':{width}}  {option.meaning}"
        lines += textwrap.wrap(text, 118, initial_indent="  ", subsequent_indent=" " * (width + 4))
    return lines


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns a question after the known name that is most like `name`, or nothing."""
    close = get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _value(written: str, text: str, kind: type) -> int | float:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not (1 if kind is int else 0) <= value < float("inf"):
        raise UsageError(f"{written}={text}: must be {KINDS[kind]}")
    return value


def _meanings(docstring: str) -> dict[str, str]:
    """The descriptions under Args of a Google-style docstring, each on one line."""
    arguments = docstring.partition("Args:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^ *(\w+): (.*(?:\n(?! *\w+: ).*)*)", arguments, flags=re.MULTILINE)
    return {name: " ".join(text.split()).rstrip(".") for name, text in entries}
