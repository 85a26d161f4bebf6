"""Checks the names and options of augmentations, and prints help for them."""

import inspect
from collections.abc import Mapping, Sequence

from augmentations import AUGMENTATIONS, FLAGS
from commons.errors import ArgumentError
from commons.options import Options, check_name, option_lines, read_own_options

HELP_FLAG = "--help_augmentation"


def check_augmentations(names: Sequence[str], given: Mapping[str, str]) -> dict[str, Options]:
    """Checks names and reads options of the form {"perspective.distortion": "0.3"}.

    Returns:
        All options of each named augmentation that has any, with the defaults of those not given.

    Raises:
        ArgumentError: if an option is out of range or belongs to an augmentation that is set by other parameters.
        UsageError: if a name is unknown or given twice, or an option is unknown.
    """
    for key in given:
        name = key.partition(".")[0]
        if name in FLAGS:
            there = ", ".join(f"`{parameter}`" for parameter in FLAGS[name])
            raise ArgumentError("augmentation_options", f"{key}: set {name} with {there}")
    read = read_own_options("augmentation", names, AUGMENTATIONS, given, "augmentations")
    for name, own in read.items():
        if own:
            AUGMENTATIONS[name](**own)  # checks the ranges
    return {name: own for name, own in read.items() if own}


def describe_augmentation(name: str) -> str:
    """Returns the help text of an augmentation: its paper, formula and options, as the programs print it."""
    check_name(HELP_FLAG.removeprefix("--"), name, AUGMENTATIONS)
    kind = AUGMENTATIONS[name]
    lines = [f"{name}: {inspect.getdoc(kind)}", ""]
    if name in FLAGS:
        return "\n".join([*lines, f"It is set by {', '.join(f'--{flag}' for flag in FLAGS[name])}."])
    return "\n".join([*lines, f"Options, for --augmentation_options {name}.key=value,...:", *option_lines(kind)])
