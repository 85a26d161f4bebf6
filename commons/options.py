"""Options of builders: names, types and defaults from the signature, meanings from the docstring.

A registry is a dict of builders (classes or functions), whose keyword-only parameters are options on the command line.
`kind` is the parameter that selects from the registry: `loss` holds a name and `loss_options` its options.
"""

import inspect
import re
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from commons.errors import ArgumentError, did_you_mean

Options = dict[str, int | float | str]
KINDS = {int: "a whole number above 0", float: "a number, 0 or more", bool: "true or false", str: "text"}
SWITCHES = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Option:
    """Type, default and meaning of an option."""

    kind: type
    default: int | float | str
    meaning: str


def check_name(parameter: str, name: str, known: Collection[str]) -> None:
    """Raises ArgumentError if the value of a parameter is not one of the known names."""
    if name not in known:
        raise ArgumentError(parameter, f"{name} is unknown{did_you_mean(name, known)}; choose from {', '.join(known)}")


def options_of(builder: Callable[..., object]) -> dict[str, Option]:
    """Returns the options of a builder: its keyword-only parameters."""
    function = builder.__init__ if inspect.isclass(builder) else builder
    meanings = _meanings(inspect.getdoc(function) or "")
    return {
        parameter.name: Option(parameter.annotation, parameter.default, meanings[parameter.name])
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def read_options(
    kind: str, name: str, builder: Callable[..., object], given: Mapping[str, str], prefix: str = ""
) -> Options:
    """Returns all options of a builder: the given values, converted from text, and the defaults of the others.

    Args:
        kind: kind of the registry.
        name: name of the builder.
        builder: the builder.
        given: values as text, by option.
        prefix: prefix of the names of options in messages, if several builders share `<kind>_options`.

    Raises:
        ArgumentError: if an option is unknown or its value has the wrong type or is out of range.
    """
    known = options_of(builder)
    for key in given:
        if key not in known:
            there = f"its options are {', '.join(known)}" if known else "it has no options"
            raise ArgumentError(
                f"{kind}_options",
                f"{name} has no option {prefix}{key}{did_you_mean(key, known)}; {there} (see `help_{kind}` {name})",
            )
    return {
        key: _value(kind, f"{prefix}{key}", given[key], option.kind) if key in given else option.default
        for key, option in known.items()
    }


def read_own_options(
    kind: str,
    names: Sequence[str],
    registry: Mapping[str, Callable[..., object]],
    given: Mapping[str, str],
    parameter: str | None = None,
) -> dict[str, Options]:
    """Checks a list of names such as `augmentations` and returns all options of each name.

    Args:
        kind: kind of the registry.
        names: names of builders.
        registry: builders by name.
        given: values as text, by "name.option".
        parameter: parameter that holds the names; by default `kind`.

    Raises:
        ArgumentError: if a name is unknown or given twice, or an option is unknown or its value has the wrong type.
    """
    parameter = parameter or kind
    for number, name in enumerate(names):
        check_name(parameter, name, registry)
        if name in names[:number]:
            raise ArgumentError(parameter, f"{name} is given twice; leave one out")
    texts: dict[str, dict[str, str]] = {name: {} for name in names}
    for key, value in given.items():
        name, _, option = key.partition(".")
        if not option:
            raise ArgumentError(f"{kind}_options", f"{key}: write NAME.OPTION=VALUE, with a NAME in `{parameter}`")
        check_name(f"{kind}_options", name, registry)
        if name not in names:
            chosen = ",".join(names) or "none"
            raise ArgumentError(f"{kind}_options", f"{key}: {name} is not in `{parameter}` {chosen}; add it")
        texts[name][option] = value
    return {name: read_options(kind, name, registry[name], own, f"{name}.") for name, own in texts.items()}


def with_options(name: str, options: Options) -> str:
    """Returns a name and its options as text, such as "cosface (m=0.4, s=30)"."""
    texts = [f"{key}={value if isinstance(value, str) else f'{value:g}'}" for key, value in options.items()]
    return name + (f" ({', '.join(texts)})" if texts else "")


def help_text(kind: str, name: str, registry: Mapping[str, Callable[..., object]]) -> str:
    """Returns the help text of a builder: its docstring and its options.

    Raises:
        ArgumentError: if the name is unknown.
    """
    check_name(kind, name, registry)
    builder = registry[name]
    meaning = (inspect.getdoc(builder) or "").partition("Args:\n")[0].strip()
    lines = option_lines(builder)
    first = f"Options, for `{kind}_options` key=value,key=value:" if lines else "It has no options."
    return "\n".join([f"{name}: {meaning}", "", first, *lines])


def option_lines(builder: Callable[..., object]) -> list[str]:
    """Returns the options of a builder with their defaults and meanings as lines of text."""
    options = options_of(builder)
    width = max((len(f"{key}={option.default}") for key, option in options.items()), default=0)
    lines = []
    for key, option in options.items():
        text = f"{f'{key}={option.default}':{width}}  {option.meaning}"
        lines += textwrap.wrap(text, 118, initial_indent="  ", subsequent_indent=" " * (width + 4))
    return lines


def _value(kind: str, option: str, text: str, expected: type) -> int | float | str:
    if expected is str:
        return text
    try:
        value = SWITCHES.get(text.lower()) if expected is bool else expected(text)
    except ValueError:
        value = None
    if value is None or expected is not bool and not (1 if expected is int else 0) <= value < float("inf"):
        raise ArgumentError(f"{kind}_options", f"{option}={text} is not {KINDS[expected]}")
    return value


def _meanings(docstring: str) -> dict[str, str]:
    """Returns the entries under Args of a Google-style docstring, each on one line."""
    arguments = docstring.partition("Args:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^ *(\w+): (.*(?:\n(?! *\w+: ).*)*)", arguments, flags=re.MULTILINE)
    return {name: " ".join(text.split()).rstrip(".") for name, text in entries}
