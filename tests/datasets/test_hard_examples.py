import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from commons.errors import ArgumentError
from commons.sphere import haversine_km
from datasets.hard_examples import (
    greedy_clusters,
    neighbour_batches,
    one_of_each,
    position_buckets,
    position_neighbours,
    similar_neighbours,
)


def pairs(count: int = 60, seed: int = 0, spread: float = 0.002):
    """Descriptors of pairs, and positions within some 200 m; aerial images lie up to 10 m beside their photo."""
    draw = torch.Generator().manual_seed(seed)
    street = normalize(torch.randn(count, 4, generator=draw), dim=1)
    aerial = normalize(street + 0.3 * torch.randn(count, 4, generator=draw), dim=1)
    rng = np.random.default_rng(seed)
    at = 45 + rng.uniform(-spread, spread, count), 7 + rng.uniform(-spread, spread, count)
    beside = tuple(column + rng.uniform(-5e-5, 5e-5, count) for column in at)
    return street, aerial, at, beside


def apart(at, beside) -> np.ndarray:
    """Metres between each street photo and each aerial image."""
    return 1000 * haversine_km(at[0][:, None], at[1][:, None], *beside)


def greedy_by_hand(street, aerial, metres, size: int, least: float, order: list[int]) -> list[list[int]]:
    cosine, free, clusters = (street @ aerial.T).numpy(), set(order), []
    for start in order:
        if start not in free:
            continue
        cluster = [start]
        while len(cluster) < size:
            allowed = [j for j in free - set(cluster) if all(min(metres[i, j], metres[j, i]) >= least for i in cluster)]
            if not allowed:
                break
            cluster.append(max(allowed, key=lambda j: sum(cosine[i, j] for i in cluster)))
        free.discard(start)
        if len(cluster) == size:
            free -= set(cluster)
            clusters.append(cluster)
    return clusters


@pytest.mark.parametrize("seed", range(3))
def test_greedy_clusters_equal_a_plain_loop(seed: int):
    street, aerial, at, beside = pairs(seed=seed)
    found = greedy_clusters(street, aerial, at, beside, 6, 40.0, torch.Generator().manual_seed(seed))
    order = torch.randperm(60, generator=torch.Generator().manual_seed(seed)).tolist()
    assert found.tolist() == greedy_by_hand(street, aerial, apart(at, beside), 6, 40.0, order)
    assert len(found) >= 6 and len(np.unique(found)) == found.size


def test_clusters_are_harder_than_random_batches():
    street, aerial, at, beside = pairs(300, spread=0.05)
    found = greedy_clusters(street, aerial, at, beside, 10, 30.0, torch.Generator().manual_seed(0))
    cosine = (street @ aerial.T).numpy()
    within = np.mean([cosine[np.ix_(rows, rows)][~np.eye(10, dtype=bool)].mean() for rows in found])
    assert len(found) == 30 and within > cosine.mean() + 0.3


def test_a_cluster_that_cannot_be_filled_is_left_out():
    street, aerial, at, _ = pairs(20, spread=1e-5)
    assert greedy_clusters(street, aerial, at, at, 4, 30.0, torch.Generator()).shape == (0, 4)


@pytest.mark.parametrize("least", [0.0, 60.0])
def test_neighbours_on_the_map(least: float):
    _, _, at, _ = pairs(80)
    found = position_neighbours(*at, 5, least)
    metres = apart(at, at)
    metres[metres < least] = np.inf
    np.fill_diagonal(metres, np.inf)
    assert np.array_equal(found, metres.argsort(axis=1)[:, :5]) and found.dtype == np.int32


def test_neighbours_where_many_share_one_position():
    """50 photos of one place hide the 3 others from a search of twice the count."""
    latitude = np.r_[np.full(50, 45.0), 45.001, 45.002, 45.003]
    found = position_neighbours(latitude, np.full(53, 7.0), 4, 30.0)
    assert (found[:50] == [50, 51, 52, -1]).all() and set(found[52].tolist()[:2]) == {50, 51}


@pytest.mark.parametrize("block", [7, 1024])
def test_neighbours_in_descriptor_space(block: int):
    street, aerial, at, beside = pairs(50)
    found = similar_neighbours(street, aerial, at, beside, 6, 50.0, block)
    cosine, metres = (street @ aerial.T).numpy().copy(), apart(at, beside)
    cosine[metres < 50] = -np.inf
    np.fill_diagonal(cosine, -np.inf)
    assert np.array_equal(found, (-cosine).argsort(axis=1, kind="stable")[:, :6])
    near = similar_neighbours(street, aerial, at, beside, 6, 1e6, block)
    assert (near == -1).all()


def test_batches_of_neighbours():
    """Four towns of 16: a batch of 8 has one or two towns; a random one would have three or four."""
    town = np.repeat(np.arange(4), 16)
    neighbours = np.array([[j for j in range(64) if town[j] == town[i] and j != i] for i in range(64)])
    batches = neighbour_batches(neighbours, 8, 7, np.random.default_rng(0))
    assert batches.shape == (8, 8) and sorted(batches.ravel()) == list(range(64))
    assert np.mean([len(set(town[batch])) for batch in batches]) < 2
    assert not np.array_equal(batches, neighbour_batches(neighbours, 8, 7, np.random.default_rng(1)))


def test_half_of_the_neighbours_are_the_nearest():
    neighbours = np.tile(np.arange(20), (100, 1))
    seen = np.zeros(100)
    for seed in range(200):
        start = np.random.default_rng(seed).permutation(100)[0]
        rows = neighbour_batches(neighbours, 9, 8, np.random.default_rng(seed))
        own = next(row for row in rows if row[0] == start)
        nearest = [n for n in range(20) if n != start][:4]
        assert own[1:5].tolist() == nearest
        seen[own[5:]] += 1
    assert (seen[6:20] > 20).all()


def test_missing_neighbours_and_small_sets():
    neighbours = np.full((10, 3), -1)
    assert sorted(neighbour_batches(neighbours, 5, 2, np.random.default_rng(0)).ravel()) == list(range(10))
    with pytest.raises(ArgumentError, match="batch_size.*11 is more than the number of pairs .10."):
        neighbour_batches(neighbours, 11, 2, np.random.default_rng(0))


def test_buckets_are_squares_on_the_ground():
    """At 60 degrees north a degree of longitude has half the metres of one of latitude."""
    step = np.degrees(1 / 6_371_008.8)
    north, east = (axis.ravel() + 0.5 for axis in np.mgrid[:40, :40])
    latitude, longitude = 60 + north * step, 10 + east * step / np.cos(np.radians(60))
    buckets = position_buckets(latitude, longitude)
    counts = np.bincount(buckets)
    assert 64 <= len(counts) <= 90 and counts.max() <= 30 and np.median(counts) >= 20
    for bucket in range(len(counts)):
        own = buckets == bucket
        assert np.ptp(north[own]) <= 5 and np.ptp(east[own]) <= 5
    assert len(np.unique(position_buckets(np.array([-1e-6, 1e-6]), np.array([0.0, 0.0])))) == 2


def test_dense_places_count_no_more_than_others():
    buckets = np.r_[np.zeros(97, int), 1, 2, 3]
    drawn = [one_of_each(buckets, np.random.default_rng(seed)) for seed in range(200)]
    assert all(sorted(buckets[rows]) == [0, 1, 2, 3] for rows in drawn)
    assert len({row for rows in drawn for row in rows}) > 70
    assert len({tuple(buckets[rows]) for rows in drawn}) == 24
