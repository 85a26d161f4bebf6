"""Options by name, read off the builders that take them: types from the signature, meanings from the docstring.

A registry is a dict of builders, classes or functions, whose keyword-only parameters are options on the command line.
`kind` names the registry as its flags do: for "loss" they are --loss, --loss_options and --help_loss.
"""

import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from commons.errors import UsageError, did_you_mean

Options = dict[str, int | float]
KINDS = {int: "a whole number above 0", float: "a number, 0 or more"}


@dataclass(frozen=True)
class Option:
    """An option's type, its default and its meaning."""

    kind: type
    default: int | float
    meaning: str


def check_name(kind: str, name: str, registry: Mapping[str, object]) -> None:
    """Raises UsageError if the registry has no such name."""
    if name not in registry:
        raise UsageError(f"--{kind} {name}: unknown{did_you_mean(name, registry)}; choose from {', '.join(registry)}")


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
    """Returns all options of a builder: those given as text, and the defaults of the others.

    Args:
        kind: of the registry.
        name: of the builder there.
        builder: has the options.
        given: values by option.
        prefix: what stands before an option's name on the command line.

    Raises:
        UsageError: if an option is unknown or its value has another type or is out of range.
    """
    known = options_of(builder)
    for key in given:
        if key not in known:
            there = f"; it has {', '.join(known)}" if known else "; it has no options"
            raise UsageError(
                f"--{kind}_options {prefix}{key}: {name} has no such option{did_you_mean(key, known)}{there} "
                f"(see python train.py --help_{kind} {name})"
            )
    flag = f"--{kind}_options {prefix}"
    return {
        key: _value(f"{flag}{key}={given[key]}", given[key], option.kind) if key in given else option.default
        for key, option in known.items()
    }


def read_own_options(
    kind: str,
    names: Sequence[str],
    registry: Mapping[str, Callable[..., object]],
    given: Mapping[str, str],
    flag: str | None = None,
) -> dict[str, Options]:
    """Checks the names of a list such as --augmentations and returns all options of each, in their order.

    Args:
        kind: of the registry.
        names: as given.
        registry: builders by name.
        given: values by "name.option".
        flag: that gives the names; by default --kind.

    Raises:
        UsageError: if a name is unknown or stands there twice, or an option is unknown or its value of another type.
    """
    flag = flag or kind
    for number, name in enumerate(names):
        check_name(flag, name, registry)
        if name in names[:number]:
            raise UsageError(f"--{flag}: {name} stands there twice")
    texts: dict[str, dict[str, str]] = {name: {} for name in names}
    for key, value in given.items():
        name, _, option = key.partition(".")
        if not option:
            raise UsageError(f"--{kind}_options {key}: write NAME.OPTION=VALUE, the name being one of --{flag}")
        check_name(f"{kind}_options", name, registry)
        if name not in names:
            raise UsageError(f"--{kind}_options {key}: {name} is not in --{flag} {','.join(names) or 'none'}; add it")
        texts[name][option] = value
    return {name: read_options(kind, name, registry[name], own, f"{name}.") for name, own in texts.items()}


def with_options(name: str, options: Options) -> str:
    """Returns an entry of a registry and its options as a text such as "cosface (m=0.4, s=30)"."""
    return name + (f" ({', '.join(f'{key}={value:g}' for key, value in options.items())})" if options else "")


def describe(kind: str, name: str, registry: Mapping[str, Callable[..., object]]) -> str:
    """Returns what a builder's docstring says of it and its options, as a text to print.

    Raises:
        UsageError: if the registry has no such name.
    """
    check_name(kind, name, registry)
    builder = registry[name]
    meaning = (inspect.getdoc(builder) or "").partition("Args:\n")[0].strip()
    lines = option_lines(builder)
    first = f"Options, for --{kind}_options key=value,key=value:" if lines else "It has no options."
    return "\n".join([f"{name}: {meaning}", "", first, *lines])


def option_lines(builder: Callable[..., object]) -> list[str]:
    """Returns the options of a builder with their defaults and meanings, in lines to print."""
    options = options_of(builder)
    width = max((len(f"{key}={option.default}") for key, option in options.items()), default=0)
    lines = []
    for key, option in options.items():
        text = f"{f'{key}={option.default}':{width}}  {option.meaning}"
        lines += textwrap.wrap(text, 118, initial_indent="  ", subsequent_indent=" " * (width + 4))
    return lines


def _value(flag: str, text: str, kind: type) -> int | float:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not (1 if kind is int else 0) <= value < float("inf"):
        raise UsageError(f"{flag}: must be {KINDS[kind]}")
    return value


def _meanings(docstring: str) -> dict[str, str]:
    """The descriptions under Args of a Google-style docstring, each on one line."""
    arguments = docstring.partition("Args:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^ *(\w+): (.*(?:\n(?! *\w+: ).*)*)", arguments, flags=re.MULTILINE)
    return {name: " ".join(text.split()).rstrip(".") for name, text in entries}
