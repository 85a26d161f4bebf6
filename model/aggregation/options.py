"""Options of aggregations, read off their constructors: types from the signature, meanings from the docstring."""

import inspect
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from commons.errors import UsageError, did_you_mean
from model.aggregation import AGGREGATIONS

Options = dict[str, int | float]
KINDS = {int: "a whole number above 0", float: "a number, 0 or more"}


@dataclass(frozen=True)
class Option:
    """An option's type, its default and its meaning."""

    kind: type
    default: int | float
    meaning: str


def check_aggregation_name(name: str) -> None:
    """Raises UsageError if there is no such aggregation."""
    if name not in AGGREGATIONS:
        raise UsageError(
            f"--aggregation {name}: unknown{did_you_mean(name, AGGREGATIONS)}; choose from {_list(AGGREGATIONS)}"
        )


def options_of(name: str) -> dict[str, Option]:
    """Returns the options of an aggregation: the keyword-only parameters of its constructor."""
    constructor = AGGREGATIONS[name].__init__
    parameters = inspect.signature(constructor).parameters.values()
    meanings = _meanings(inspect.getdoc(constructor) or "")
    return {
        parameter.name: Option(parameter.annotation, parameter.default, meanings[parameter.name])
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def own_dimension(name: str) -> bool:
    """Whether the aggregation's options give its descriptor's dimension, instead of a last linear layer."""
    return inspect.signature(AGGREGATIONS[name]).parameters["descriptor_dim"].default == 0


def read_options(name: str, given: Mapping[str, str]) -> Options:
    """Returns all options of an aggregation: those given as text, and the defaults of the others.

    Raises:
        UsageError: if an option is unknown or its value has another type or is out of range.
    """
    known = options_of(name)
    for key in given:
        if key not in known:
            there = f"; it has {_list(known)}" if known else "; it has no options"
            raise UsageError(
                f"--aggregation_options {key}: {name} has no such option{did_you_mean(key, known)}{there} "
                f"(see python train.py --help_aggregation {name})"
            )
    return {
        key: _value(key, given[key], option.kind) if key in given else option.default for key, option in known.items()
    }


def describe_aggregation(name: str) -> str:
    """Returns an aggregation's paper, formula, options and dimension as a text to print."""
    check_aggregation_name(name)
    kind = AGGREGATIONS[name]
    lines = [f"{name}: {inspect.getdoc(kind)}", ""]
    options = options_of(name)
    width = max((len(f"{key}={option.default}") for key, option in options.items()), default=0)
    lines += ["Options, for --aggregation_options key=value,key=value:" if options else "It has no options."]
    for key, option in options.items():
        lines += textwrap.wrap(
            f"{f'{key}={option.default}':{width}}  {option.meaning}",
            118,
            initial_indent="  ",
            subsequent_indent=" " * (width + 4),
        )
    with torch.device("meta"):
        dimension = kind(channels=512).descriptor_dim
    how = "as its options say" if own_dimension(name) else "set by --fc_output_dim, 0 for no linear layer"
    return "\n".join([*lines, "", f"Descriptor: {dimension} dimensions by default, {how}."])


def _value(key: str, text: str, kind: type) -> int | float:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not (1 if kind is int else 0) <= value < float("inf"):
        raise UsageError(f"--aggregation_options {key}={text}: must be {KINDS[kind]}")
    return value


def _meanings(docstring: str) -> dict[str, str]:
    """The descriptions under Args of a Google-style docstring, each on one line."""
    arguments = docstring.partition("Args:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^ *(\w+): (.*(?:\n(?! *\w+: ).*)*)", arguments, flags=re.MULTILINE)
    return {name: " ".join(text.split()).rstrip(".") for name, text in entries}


def _list(names: Mapping[str, object]) -> str:
    return ", ".join(names)
