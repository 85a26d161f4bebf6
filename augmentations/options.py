"""Names and options of augmentations on the command line, checked."""

import inspect
from collections.abc import Mapping, Sequence

from augmentations import AUGMENTATIONS, FLAGS
from commons.errors import UsageError
from commons.options import Options, check_name, option_lines, read_own_options

HELP_FLAG = "--help_augmentation"


def check_augmentations(names: Sequence[str], given: Mapping[str, str]) -> dict[str, Options]:
    """Checks names and reads options of the form {"perspective.distortion": "0.3"}.

    Returns:
        All options of each named augmentation that has any, with the defaults of those not given.

    Raises:
        UsageError: if a name is unknown or stands there twice, or an option is unknown or out of its range.
    """
    for key in given:
        name = key.partition(".")[0]
        if name in FLAGS:
            raise UsageError(f"--augmentation_options {key}: {name} is set by {_flags(name)}")
    read = read_own_options("augmentation", names, AUGMENTATIONS, given, "augmentations")
    for name, own in read.items():
        if own:
            AUGMENTATIONS[name](**own)  # checks the ranges
    return {name: own for name, own in read.items() if own}


def describe_augmentation(name: str) -> str:
    """Returns an augmentation's paper, formula and options as a text to print."""
    check_name(HELP_FLAG.removeprefix("--"), name, AUGMENTATIONS)
    kind = AUGMENTATIONS[name]
    lines = [f"{name}: {inspect.getdoc(kind)}", ""]
    if name in FLAGS:
        return "\n".join([*lines, f"It is set by {_flags(name)}."])
    return "\n".join([*lines, f"Options, for --augmentation_options {name}.key=value,...:", *option_lines(kind)])


def _flags(name: str) -> str:
    return ", ".join(f"--{flag}" for flag in FLAGS[name])
