import math

import pytest

from reports.numbers import by_numbers, decimals, families, family_name, is_recall


def test_recalls_are_told_by_their_names():
    assert is_recall("R@1") and is_recall("R@100")
    assert not any(is_recall(name) for name in ("R@1<50m", "answerable R@1", "R@", "within 1 km"))


@pytest.mark.parametrize(
    ("name", "values", "count"),
    [
        ("mean km", [1234.5, 0.1], 1),
        ("mean km", [62.31], 1),
        ("mean km", [9.99], 2),
        ("mean km", [-4.72, 1.0], 2),
        ("mean km", [1.0], 2),
        ("mean km", [0.0318], 4),
        ("mean km", [3e-12], 6),
        ("mean km", [0.0, math.nan], 1),
        ("mean km", [], 1),
        ("R@1", [0.5], 1),
    ],
)
def test_decimals_keep_three_digits_of_the_largest_value(name: str, values: list[float], count: int):
    assert decimals(name, values) == count


def test_names_are_sorted_by_their_numbers():
    assert by_numbers(["R@10", "R@1", "R@5"]) == ["R@1", "R@5", "R@10"]
    assert by_numbers(["within 2.5 km", "within 0.1 km"]) == ["within 0.1 km", "within 2.5 km"]


def test_families_differ_only_in_numbers():
    names = ["mean km", "within 25 km", "R@5<50m", "within 1 km", "R@1<50m", "R@1"]
    found = families(names)
    assert found == [["mean km"], ["within 1 km", "within 25 km"], ["R@1<50m", "R@5<50m"], ["R@1"]]
    assert [family_name(own) for own in found] == ["mean km", "within N km", "R@N<50m", "R@1"]
