"""Ranges of the options of losses."""

from commons.errors import UsageError


def check_range(option: str, value: float, least: float, most: float, flag: str = "--loss_options") -> None:
    """Raises UsageError unless least <= value <= most."""
    if not least <= value <= most:
        raise UsageError(f"{flag} {option}={value:g}: must lie between {least:g} and {most:g}")


def check_above_zero(option: str, value: float) -> None:
    """Raises UsageError unless value > 0."""
    if value <= 0:
        raise UsageError(f"--loss_options {option}={value:g}: must be above 0")
