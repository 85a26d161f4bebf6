from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from datasets.cross_view.layout import PairedSet
from datasets.places import make_places
from metrics.cross_view import Lists
from retrieval.table import DescriptorTable
from tasks.paired_measuring import measure_pairs, taken


def table(rows: list[int], angles: list[float]) -> DescriptorTable:
    """Returns unit descriptors at some angles in degrees."""
    made = DescriptorTable(len(rows), 2)
    turns = np.radians(np.array(angles))
    made.add([(np.array(rows), np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32))])
    return made


def pairs(positives: Lists, semi: Lists | None, queries: int, references: int) -> PairedSet:
    tables = [
        make_places(
            Path("."), pa.array([f"{what}{n}.jpg" for n in range(count)]), latitude=np.zeros(count),
            longitude=0.001 * np.arange(count),
        )
        for what, count in (("q", queries), ("r", references))
    ]  # fmt: skip
    return PairedSet("set", *tables, positives, semi, "vigor", "same", average_precision=semi is None)


def test_figures_by_hand():
    """Query 0 finds its semi-positive first; query 1 its positive; query 2 another image."""
    own = pairs(Lists(np.arange(4), np.array([0, 1, 2])), Lists(np.arange(4), np.array([3, 3, 3])), 3, 4)
    found = measure_pairs(own, table([0, 1, 2], [10, 50, 60]), table([3, 2, 1, 0], [12, 150, 55, 0]), 1.0)
    figures = {name: found.results[name] for name in ("R@1", "R@5", "hit rate", "chance R@1")}
    assert figures == pytest.approx({"R@1": 100 / 3, "R@5": 100, "hit rate": 200 / 3, "chance R@1": 25})
    rows = found.table.to_pydict()
    assert rows["rank"] == [2, 1, 4] and rows["correct"] == [False, True, False]
    assert rows["predicted"] == ["r3.jpg", "r1.jpg", "r1.jpg"] and rows["top"][0][:2] == ["r3.jpg", "r0.jpg"]
    # 0.001 degrees on the equator are 111.2 m.
    assert rows["error_m"] == pytest.approx([333.6, 0, 111.2], abs=0.1)


def test_images_that_cannot_be_decoded_are_counted_and_not_found():
    """Query 0 and reference 1 are gone: query 1 has no correct reference left, query 2 has one of two."""
    own = pairs(Lists(np.array([0, 1, 2, 4]), np.array([0, 1, 1, 2])), None, 3, 3)
    found = measure_pairs(own, table([2, 1], [90, 0]), table([2, 0], [90, 0]), 1.0)
    wanted = ("R@1", "AP", "queries", "references", "skipped_queries", "skipped_references")
    assert [found.results[name] for name in wanted] == [50, 50, 2, 2, 1, 1]
    assert found.table.to_pydict()["path"] == ["q2.jpg", "q1.jpg"] and found.table.to_pydict()["rank"] == [1, -1]


def test_lists_are_taken_in_any_order():
    lists = Lists(np.array([0, 2, 2, 5]), np.array([0, 1, 1, 2, 3]))
    found = taken(lists, np.array([2, 0, 1]), np.array([7, -1, 8, 9]))
    assert found.offsets.tolist() == [0, 2, 3, 3] and found.rows.tolist() == [8, 9, 7]
