import numpy as np
import pytest
import torch

from commons.errors import ArgumentError
from commons.sphere import from_local_km, haversine_km
from datasets.hard_examples import position_buckets
from methods.pair_batches import PairBatches

COUNT = 120
DRAW = np.random.default_rng(0)
NORTH, EAST = DRAW.uniform(0, 1, (2, COUNT))
DEGREES = from_local_km(EAST, NORTH, np.full(COUNT, 55.0), np.full(COUNT, 9.0))
DESCRIPTORS = torch.nn.functional.normalize(torch.from_numpy(DRAW.normal(size=(COUNT, 2))).float(), dim=1)


class Describe:
    """Gives descriptors, and remembers which were asked for."""

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []

    def __call__(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        self.asked.append(rows)
        return DESCRIPTORS[rows], DESCRIPTORS[rows]


def pairs(kind: str, describe: object = None, scan: int = 2, degrees: tuple = DEGREES) -> PairBatches:
    return PairBatches(kind, degrees, describe or Describe(), 30.0, scan, 8, seed=3)


def similarity(batches: np.ndarray) -> float:
    """The mean cosine of pairs in one batch."""
    own = DESCRIPTORS[torch.from_numpy(batches)]
    return float((own @ own.transpose(1, 2)).mean())


def metres(batches: np.ndarray) -> np.ndarray:
    lat, lon = (column[batches] for column in DEGREES)
    return 1000 * haversine_km(lat[:, :, None], lon[:, :, None], lat[:, None], lon[:, None])


@pytest.mark.parametrize("kind", ["none", "clusters", "neighbours", "similarity"])
@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_batches_follow_from_seed_and_epoch(kind: str, epoch: int):
    found = pairs(kind).draw(epoch, 6, 25)
    assert found.shape == (25, 6) and found.min() >= 0 and found.max() < COUNT
    assert (found == pairs(kind).draw(epoch, 6, 25)).all()
    assert (found != pairs(kind).draw(epoch + 1, 6, 25)).any()


def test_a_pass_has_one_photo_of_each_place():
    twice = tuple(np.concatenate([column, column]) for column in DEGREES)
    rows = pairs("none", degrees=twice).draw(0, 6, 20).reshape(-1)  # a pass: 120 places
    assert sorted(position_buckets(*twice)[rows]) == sorted(np.unique(position_buckets(*twice)).tolist())
    assert (rows >= COUNT).any() and (rows < COUNT).any()


def test_clusters_are_similar_and_apart_and_scans_double():
    describe = Describe()
    own = pairs("clusters", describe)
    assert not own.needs_descriptors(0) and own.draw(0, 6, 20).shape == (20, 6) and not describe.asked
    plain = similarity(pairs("none").draw(2, 6, 20))
    assert similarity(own.draw(1, 6, 20)) > plain + 0.1
    assert [len(rows) for rows in describe.asked] == [12] * 10
    describe.asked.clear()
    assert similarity(own.draw(3, 6, 20)) > plain + 0.3
    assert [len(rows) for rows in describe.asked] == [48, 48, 24]
    between = metres(own.draw(30, 6, 20))  # a scan of everything
    clusters = [(own + 1e9 * np.eye(6)).min() >= 30 for own in between]
    assert sum(clusters) >= 15  # the last ones are what no cluster took


def test_pairs_that_cannot_be_decoded_are_in_no_cluster():
    def describe(rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        street = DESCRIPTORS[rows].clone()
        street[torch.from_numpy(rows % 2 == 0)] = torch.nan
        return street, DESCRIPTORS[rows]

    found = pairs("clusters", describe, scan=20).draw(1, 6, 20)
    odd = (found % 2 == 1).all(axis=1)
    assert 5 <= odd.sum() <= 11 and found.shape == (20, 6)


def test_neighbours_are_near_on_the_map_or_similar():
    near, plain = metres(pairs("neighbours").draw(1, 6, 15)), metres(pairs("none").draw(1, 6, 15))
    assert np.median(near) < 0.8 * np.median(plain)
    describe = Describe()
    similar = pairs("similarity", describe)
    assert (similar.draw(0, 6, 15) == pairs("neighbours").draw(0, 6, 15)).all() and not describe.asked
    assert similarity(similar.draw(1, 6, 15)) > similarity(pairs("none").draw(1, 6, 15)) + 0.1


def test_too_few_places_end_in_one_line():
    same = tuple(np.repeat(column[:5], 10) for column in DEGREES)
    with pytest.raises(ArgumentError, match="6 is more than the number of places with photos \\(5\\)"):
        pairs("none", degrees=same).check(6)
    pairs("none", degrees=same).check(5)
