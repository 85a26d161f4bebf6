"""Names and options of augmentations on the command line, checked."""

import inspect
from collections.abc import Mapping, Sequence

from augmentations import AUGMENTATIONS, FLAGS
from commons.errors import UsageError, did_you_mean
from commons.options import Options, check_name, option_lines, read_options

HELP_FLAG = "--help_augmentation"


def check_augmentations(names: Sequence[str], given: Mapping[str, str]) -> dict[str, Options]:
    """Checks names and reads options of the form {"perspective.distortion": "0.3"}.

    Returns:
        All options of each named augmentation that has any, with the defaults of those not given.

    Raises:
        UsageError: if a name is unknown or stands there twice, or an option is unknown or out of its range.
    """
    for number, name in enumerate(names):
        check_name("augmentations", name, AUGMENTATIONS)
        if name in names[:number]:
            raise UsageError(f"--augmentations: {name} stands there twice")
    texts: dict[str, dict[str, str]] = {name: {} for name in names}
    for key, value in given.items():
        name, _, option = key.partition(".")
        _check_key(key, name, option, names)
        texts[name][option] = value
    read = {
        name: read_options("augmentation", name, AUGMENTATIONS[name], own, f"{name}.") for name, own in texts.items()
    }
    for name, own in read.items():
        if own:
            AUGMENTATIONS[name](**own)  # checks the ranges
    return {name: own for name, own in read.items() if own}


def _check_key(key: str, name: str, option: str, names: Sequence[str]) -> None:
    flag = f"--augmentation_options {key}"
    if not option:
        raise UsageError(f"{flag}: write NAME.OPTION=VALUE, such as perspective.distortion=0.3")
    if name not in AUGMENTATIONS:
        raise UsageError(f"{flag}: there is no augmentation {name}{did_you_mean(name, AUGMENTATIONS)}")
    if name not in names:
        raise UsageError(f"{flag}: {name} is not in --augmentations {','.join(names) or 'none'}; add it there")
    if name in FLAGS:
        raise UsageError(f"{flag}: {name} is set by {_flags(name)}")


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
