import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from commons.errors import ArgumentError
from datasets.geotagged import GeoPhotos, split_rows
from datasets.geotagged.photos import label_column
from datasets.places import make_places


def photos(**labels: list) -> GeoPhotos:
    count = len(next(iter(labels.values())))
    names = pa.array([f"{number}.jpg" for number in range(count)])
    places = make_places(Path("x"), names, latitude=np.ones(count), longitude=np.ones(count))
    return GeoPhotos(places, {name: label_column(pa.array(values)) for name, values in labels.items()})


def users(count: int = 3000, seed: int = 0) -> list[str]:
    """Few users with many photos and many with few, as in life."""
    return [f"u{number}" for number in np.random.default_rng(seed).zipf(1.6, count) % 500]


@pytest.mark.parametrize("by", ["user", "sequence", "cell"])
@pytest.mark.parametrize("share", [0.05, 0.3])
def test_no_group_is_on_both_sides(by: str, share: float):
    own = users()
    groups = np.array([int(user[1:]) for user in own])
    table = photos(**{"city" if by == "cell" else by: own})
    training, validation = split_rows(table, by, share, seed=1, cells=groups if by == "cell" else None)
    assert not set(groups[training]) & set(groups[validation])
    assert sorted([*training, *validation]) == list(range(len(own)))
    assert share - 0.02 <= len(validation) / len(own) <= share


def test_the_seed_decides():
    table = photos(user=users())
    first, again, other = (split_rows(table, "user", 0.2, seed)[1].tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_photos_without_a_user_are_a_group_each_and_sequences_stay_together():
    known = ["ann"] * 10 + [None] * 90
    sequence = [None] * 40 + [f"s{number // 10}" for number in range(60)]
    validated = np.zeros(100)
    for seed in range(40):
        rows = split_rows(photos(user=known, sequence=sequence), "user", 0.3, seed)[1]
        chosen = np.isin(np.arange(100), rows)
        assert chosen[:10].all() or not chosen[:10].any()
        for start in range(40, 100, 10):
            assert chosen[start : start + 10].all() or not chosen[start : start + 10].any()
        validated += chosen
    assert len(set(validated[10:40])) > 1  # single photos go their own ways
    assert (validated > 0).all() and (validated < 40).all()


def test_photos_in_no_cell_are_a_group_each():
    cells = np.array([0] * 50 + [-1] * 50)
    training, validation = split_rows(photos(city=["x"] * 100), "cell", 0.25, 0, cells)
    assert len(validation) == 25 and (cells[validation] == -1).all()
    cells = np.array([2**63 + 5] * 50 + [7] * 50, dtype=np.uint64)  # ids of S2 cells
    assert len(split_rows(photos(city=["x"] * 100), "cell", 0.5, 0, cells)[1]) == 50


def test_large_groups_leave_fewer_with_a_warning(caplog: pytest.LogCaptureFixture):
    table = photos(user=["ann"] * 90 + ["bob"] * 5 + ["eve"] * 5)
    with caplog.at_level(logging.WARNING):
        assert len(split_rows(table, "user", 0.3, 0)[1]) == 10
    assert "10 photos validate instead of 30" in caplog.text


@pytest.mark.parametrize(
    ("by", "share", "words"),
    [
        ("user", 0.2, "the photos have sequence"),
        ("sequence", 0.2, "smallest of 2 groups has 5 of 10 photos"),
        ("city", 0.2, "choose one of user, sequence, cell"),
        ("cell", 0.2, "needs the cell of each of the 10 photos"),
        ("sequence", 1.0, "above 0 and below 1"),
    ],
)
def test_splits_that_cannot_be_made_are_named(by: str, share: float, words: str):
    with pytest.raises(ArgumentError, match=words):
        split_rows(photos(sequence=["a"] * 5 + ["b"] * 5), by, share, 0)
