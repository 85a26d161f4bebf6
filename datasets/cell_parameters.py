"""Checks of the parameters that cut street cells, without anything that takes long to import."""

from commons.errors import ArgumentError


def check_parameters(M: int, alpha: int, N: int, L: int) -> None:
    """Raises ArgumentError if headings cannot be cut evenly: classes of one group would meet at north."""
    if 360 % alpha or (360 // alpha) % L:
        raise ArgumentError("alpha", f"{alpha} with `L` {L}: alpha * L must divide 360, as 30 * 2 does")
