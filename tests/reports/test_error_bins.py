import math

import numpy as np
import pyarrow as pa
import pytest

from reports.error_bins import Bin, all_sections, hours_of, make_bin, quantile_bins, upper_bins


def wilson(right: int, queries: int) -> tuple[float, float]:
    """The interval's formula, in percent, with z = 1.96."""
    z, p = 1.959964, right / queries
    middle = (p + z * z / (2 * queries)) / (1 + z * z / queries)
    half = z / (1 + z * z / queries) * math.sqrt(p * (1 - p) / queries + z * z / (4 * queries**2))
    return 100 * (middle - half), 100 * (middle + half)


def test_wilson_interval_of_8_in_10():
    """By hand: middle (0.8 + 0.19207) / 1.38415 = 0.71674, half width 0.22659."""
    own = make_bin("x", np.array([1] * 8 + [0, 3]))
    assert (own.queries, own.right, own.right_5) == (10, 8, 9)
    assert (own.low, own.high) == (pytest.approx(49.02, abs=0.01), pytest.approx(94.33, abs=0.01))
    assert (own.low, own.high) == pytest.approx(wilson(8, 10), abs=1e-3)


@pytest.mark.parametrize(("right", "queries"), [(0, 4), (7, 7), (1, 1), (100, 264)])
def test_wilson_interval_at_its_ends(right: int, queries: int):
    own = make_bin("x", np.array([1] * right + [6] * (queries - right)))
    assert (own.low, own.high) == pytest.approx(wilson(right, queries), abs=1e-3)
    assert own.right_5 == right


def counts(bins: list[Bin]) -> list[tuple[str, int, int]]:
    return [(own.label, own.queries, own.right) for own in bins]


def test_upper_edges_belong_to_their_bin():
    values = np.array([0, 5, 5.1, 25, 25.1, 400, np.nan])
    bins = upper_bins(values, [5, 10, 25, 50, np.inf], np.array([1, 1, 0, 1, 2, 0, 1]), " m")
    assert counts(bins) == [
        ("0 to 5 m", 2, 2), ("5 to 10 m", 1, 0), ("10 to 25 m", 1, 1), ("25 to 50 m", 1, 0), ("over 50 m", 1, 0),
        ("unknown", 1, 1),
    ]  # fmt: skip
    assert upper_bins(np.array([np.nan]), [5], np.array([1]), " m") == []


def test_quantiles_are_equal_parts_and_keep_ties_together():
    values = np.arange(10) / 100
    bins = quantile_bins(values, np.array([0] * 5 + [1] * 5), count=5)
    assert [own.queries for own in bins] == [2] * 5
    assert [own.right for own in bins] == [0, 0, 1, 2, 2]
    assert bins[0].label == "0.000 to 0.010"
    assert counts(quantile_bins(np.zeros(4), np.ones(4, int))) == [("0.000 to 0.000", 4, 4)]


def test_hours():
    stamps = ["20230714_193000", "2023:07:14 09:30:00", "2023-07-14T00:05", "202307", "20230714", "", "20230714_996000"]
    stamps += ["0000:00:00 00:00:00", "1689319800123"]  # a clock that was never set; milliseconds since 1970
    assert hours_of(pa.array(stamps)).tolist() == pytest.approx([19, 9, 0, *[np.nan] * 6], nan_ok=True)


def name(note: str) -> str:
    return f"a/@1@2@10@S@3@4@pano@@5@@@@202001@{note}@.jpg"


def table(**columns: list) -> pa.Table:
    size = 4
    defaults = {
        "query": [name("")] * size, "timestamp": ["202001"] * size, "first_right": [1, 2, None, 1],
        "margin": [0.1, 0.2, 0.3, 0.4], "nearest_distance": [1.0, 12.0, 26.0, None], "nearest_turn": [None] * size,
    }  # fmt: skip
    kinds = {"first_right": pa.int32(), "query": pa.string(), "timestamp": pa.string()}
    arrays = {key: pa.array(value, kinds.get(key, pa.float32())) for key, value in (defaults | columns).items()}
    return pa.table(arrays).combine_chunks()


def test_sections_say_what_is_not_known():
    sections = {section.what: section for section in all_sections(table(), {"threshold": 25.0})}
    assert list(sections) == ["time", "heading difference", "nearest image", "margin"]
    assert "no time of day" in sections["time"].note and sections["time"].bins == []
    assert "no headings" in sections["heading difference"].note
    assert counts(sections["nearest image"].bins) == [
        ("0 to 5 m", 1, 1), ("10 to 25 m", 1, 0), ("25 to 50 m", 1, 0), ("unknown", 1, 1),
    ]  # fmt: skip


def test_time_condition_and_heading():
    known = table(
        timestamp=["20200101_0000", "20200101_025959", "20200101_210000", "202001"],
        query=[name("night_forward_x"), name("day"), name("night"), name("day")],
        nearest_turn=[0.0, 15.0, 15.5, 180.0],
    )
    sections = {section.what: section for section in all_sections(known, {"threshold": 25.0})}
    assert counts(sections["time"].bins) == [("00 to 03 h", 2, 1), ("21 to 24 h", 1, 0), ("unknown", 1, 1)]
    assert counts(sections["condition"].bins) == [("day", 2, 1), ("night", 2, 1)]
    assert counts(sections["heading difference"].bins) == [
        ("0 to 5°", 1, 1), ("10 to 15°", 1, 0), ("15 to 30°", 1, 0), ("90 to 180°", 1, 1),
    ]  # fmt: skip
