"""The choice of adaptations and their options, as they stand on the command line."""

from collections.abc import Mapping, Sequence

from adaptation import ADAPTATIONS, IMAGE_ADAPTATIONS
from commons.errors import UsageError
from commons.options import Options, check_name, describe, read_options


def describe_adaptation(name: str) -> str:
    """Returns an adaptation's paper, formula and options as a text to print.

    Raises:
        UsageError: if there is no such adaptation.
    """
    return describe("adaptation", name, ADAPTATIONS).replace("key=value,key=value", f"{name}.key=value,...")


def read_adaptations(names: Sequence[str], given: Mapping[str, str]) -> dict[str, Options]:
    """Checks the adaptations and fills in their defaults.

    Args:
        names: of the adaptations.
        given: values by "name.option", as text.

    Returns:
        All options of each adaptation, by its name.

    Raises:
        UsageError: if a name is unknown or stands there twice, or an option is unknown or out of range.
    """
    for name in names:
        check_name("adaptation", name, ADAPTATIONS)
    if len(set(names)) < len(names):
        raise UsageError(f"--adaptation {','.join(names)}: names one twice")
    own: dict[str, dict[str, str]] = {name: {} for name in names}
    for key, value in given.items():
        name, dot, option = key.partition(".")
        if not dot or name not in own:
            raise UsageError(
                f"--adaptation_options {key}={value}: must begin with an adaptation of --adaptation and a dot, such as "
                f"{next(iter(own), 'fourier')}.{option or key}={value}"
            )
        own[name][option] = value
    options = {name: read_options("adaptation", name, ADAPTATIONS[name], own[name]) for name in names}
    for name in options.keys() & IMAGE_ADAPTATIONS.keys():
        IMAGE_ADAPTATIONS[name](**options[name])
    return options
