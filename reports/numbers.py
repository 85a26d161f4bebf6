"""How the figures of any metric are named, ordered and rounded."""

import math
import re
from collections.abc import Iterable, Sequence

DIGITS = 3  # significant digits that a table shows at least
MOST_DECIMALS = 6


def is_recall(name: str) -> bool:
    """Returns whether a figure is recall@N, a percentage: "R@1" is, "R@1<50m" is not."""
    return re.fullmatch(r"R@\d+", name) is not None


def decimals(name: str, values: Iterable[float]) -> int:
    """Returns the decimals that a column of figures needs: 1, and more where all values are small.

    Recalls always have one. 1234.5, 62.3, 4.72 and 0.0318 are examples of others.

    Args:
        name: name of the figure.
        values: all that stand in the column.
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if is_recall(name) or not largest:
        return 1
    return min(max(1, DIGITS - 1 - math.floor(math.log10(largest))), MOST_DECIMALS)


def by_numbers(names: Iterable[str]) -> list[str]:
    """Sorts names that differ in numbers by these numbers: R@5 before R@10."""
    return sorted(names, key=lambda name: [float(number) for number in re.findall(r"\d+(?:\.\d+)?", name)])


def families(names: Iterable[str]) -> list[list[str]]:
    """Groups figures whose names differ only in numbers, such as R@1 and R@5, or within 1 km and within 25 km.

    Returns:
        Groups in the order in which they are first met; in each the names are sorted by their numbers.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r"\d+(?:\.\d+)?", "#", name), []).append(name)
    return [by_numbers(group) for group in groups.values()]


def family_name(names: Sequence[str]) -> str:
    """Returns what a family's names share, with N for the numbers in which they differ: "within N km"."""
    parts = [re.split(r"(\d+(?:\.\d+)?)", name) for name in names]
    shared = [own[0] if len(set(own)) == 1 else "N" for own in zip(*parts, strict=True)]
    return "".join(shared)
