"""Adaptations and their options, given as text."""

from collections.abc import Mapping, Sequence

from commons.options import Options, help_text, read_own_options
from training.adaptation import ADAPTATIONS, IMAGE_ADAPTATIONS


def adaptation_help(name: str) -> str:
    """Returns an adaptation's paper, formula and options as a text to print.

    Raises:
        ArgumentError: if there is no such adaptation.
    """
    return help_text("adaptation", name, ADAPTATIONS).replace("key=value,key=value", f"{name}.key=value,...")


def read_adaptations(names: Sequence[str], given: Mapping[str, str]) -> dict[str, Options]:
    """Checks the adaptations and fills in their defaults.

    Args:
        names: names of the adaptations.
        given: values by "name.option", as text.

    Returns:
        All options of each adaptation, by its name.

    Raises:
        ArgumentError: if a name is unknown or is given twice, or an option is unknown or out of range.
    """
    options = read_own_options("adaptation", names, ADAPTATIONS, given)
    for name in options.keys() & IMAGE_ADAPTATIONS.keys():
        IMAGE_ADAPTATIONS[name](**options[name])
    return options
