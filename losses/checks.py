"""Ranges of the options of losses and miners."""

from commons.errors import ArgumentError


def check_range(option: str, value: float, least: float, most: float, parameter: str = "loss_options") -> None:
    """Raises ArgumentError unless least <= value <= most."""
    if not least <= value <= most:
        raise ArgumentError(parameter, f"{option}={value:g} must be between {least:g} and {most:g}")


def check_above_zero(option: str, value: float) -> None:
    """Raises ArgumentError unless value > 0."""
    if value <= 0:
        raise ArgumentError("loss_options", f"{option}={value:g} must be above 0")
