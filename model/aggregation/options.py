"""Options of aggregations, read off their constructors."""

import inspect
from collections.abc import Mapping

import torch

from commons import options
from commons.options import Option, Options
from model.aggregation import AGGREGATIONS


def check_aggregation_name(name: str) -> None:
    """Raises UsageError if there is no such aggregation."""
    options.check_name("--aggregation", name, AGGREGATIONS)


def options_of(name: str) -> dict[str, Option]:
    """Returns the options of an aggregation: the keyword-only parameters of its constructor."""
    return options.options_of(AGGREGATIONS[name])


def own_dimension(name: str) -> bool:
    """Whether the aggregation's options give its descriptor's dimension, instead of a last linear layer."""
    return inspect.signature(AGGREGATIONS[name]).parameters["descriptor_dim"].default == 0


def read_options(name: str, given: Mapping[str, str]) -> Options:
    """Returns all options of an aggregation: those given as text, and the defaults of the others.

    Raises:
        UsageError: if an option is unknown or its value has another type or is out of range.
    """
    return options.read_options(name, AGGREGATIONS[name], given, "--aggregation_options ", "--help_aggregation")


def describe_aggregation(name: str) -> str:
    """Returns an aggregation's paper, formula, options and dimension as a text to print."""
    check_aggregation_name(name)
    kind = AGGREGATIONS[name]
    lines = [f"{name}: {inspect.getdoc(kind)}", ""]
    described = options.option_lines(kind)
    lines += ["Options, for --aggregation_options key=value,key=value:" if described else "It has no options."]
    with torch.device("meta"):
        dimension = kind(channels=512).descriptor_dim
    how = "as its options say" if own_dimension(name) else "set by --fc_output_dim, 0 for no linear layer"
    return "\n".join([*lines, *described, "", f"Descriptor: {dimension} dimensions by default, {how}."])
