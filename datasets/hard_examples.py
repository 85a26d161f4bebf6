"""Batches of pairs of a street photo and an aerial image that are hard to tell apart.

Three ways to find them: greedy clusters of descriptors that have just been computed (`greedy_clusters`), neighbours on
the map (`position_neighbours`), and neighbours in descriptor space (`similar_neighbours`); `neighbour_batches` makes
batches of the latter two. All memory is proportional to the number of pairs: no matrix of all pairs is kept.
"""

import numpy as np
import torch
from scipy.spatial import cKDTree

from commons.errors import ArgumentError
from commons.sphere import km_to_chord, unit_vectors

Degrees = tuple[np.ndarray, np.ndarray]  # latitude and longitude, each (n,)


def greedy_clusters(
    street: torch.Tensor,
    aerial: torch.Tensor,
    street_at: Degrees,
    aerial_at: Degrees,
    size: int,
    apart_m: float,
    generator: torch.Generator,
) -> np.ndarray:
    """Puts pairs into clusters of similar ones, as hard example mining of https://arxiv.org/abs/2409.16763 does.

    A cluster starts with a random pair. Then comes again and again the pair whose aerial image is most similar to the
    street photos of the cluster, their cosines added up, among those that lie apart from all members. A start whose
    cluster cannot be filled is left out. Time is proportional to n^2 d.

    Args:
        street, aerial: descriptors of n pairs, (n, d), on any device.
        street_at, aerial_at: their positions in degrees.
        size: pairs of a cluster.
        apart_m: metres from each street photo to the aerial images of the other pairs in its cluster, at least.
        generator: generator of random starts, on the CPU.

    Returns:
        Rows of the pairs, int64 (clusters, size); each pair is in one cluster at most.
    """
    device = street.device
    sides = [torch.from_numpy(unit_vectors(*at)).to(device) for at in (street_at, aerial_at)]
    order = torch.randperm(len(street), generator=generator)
    # What is left, in the order of starts.
    rows, data = order.numpy(), [part[order.to(device)] for part in (street, aerial, *sides)]
    free, clusters, start = torch.ones(len(rows), dtype=torch.bool, device=device), [], 0
    least = float(km_to_chord(np.array(apart_m / 1000)))
    while start < len(rows):
        if not free[start]:
            start += 1
            continue
        cluster = _grow(start, *data, free, size, least)
        free[start] = False
        start += 1
        if len(cluster) == size:
            free[cluster] = False
            clusters.append(rows[cluster])
        if 2 * int(free.sum()) < len(free):
            kept = free.nonzero().squeeze(1)
            rows, data, start = rows[kept.cpu().numpy()], [part[kept] for part in data], 0
            free = free[kept]
    return np.array(clusters, np.int64).reshape(-1, size)


def _grow(
    start: int,
    street: torch.Tensor,
    aerial: torch.Tensor,
    street_at: torch.Tensor,
    aerial_at: torch.Tensor,
    free: torch.Tensor,
    size: int,
    least: float,
) -> list[int]:
    """Returns the members of a cluster, fewer than `size` if no others lie apart."""
    cluster, allowed, total = [start], free.clone(), torch.zeros(len(street), device=street.device)
    allowed[start] = False
    while len(cluster) < size:
        new = cluster[-1]
        total += aerial @ street[new]
        for mine, theirs in ((street_at, aerial_at), (aerial_at, street_at)):
            allowed &= (theirs - mine[new]).norm(dim=1) >= least
        best = int(total.masked_fill(~allowed, -torch.inf).argmax())
        if not allowed[best]:
            break
        allowed[best] = False
        cluster.append(best)
    return cluster


def position_neighbours(latitude: np.ndarray, longitude: np.ndarray, count: int, apart_m: float) -> np.ndarray:
    """Returns the nearest other pairs that are at least some metres away, nearest first, int32 (n, count).

    Args:
        latitude, longitude: of the pairs in degrees, (n,).
        count: neighbours of each pair; -1 fills up where there are not so many.
        apart_m: nearer pairs show the same place.
    """
    vectors = unit_vectors(latitude, longitude)
    tree, least = cKDTree(vectors), float(km_to_chord(np.array(apart_m / 1000)))
    found, open_rows, asked = np.full((len(vectors), count), -1, np.int32), np.arange(len(vectors)), 2 * count
    while len(open_rows):
        asked, unfilled = min(asked, len(vectors)), []
        for part in np.array_split(open_rows, max(len(open_rows) * asked // 4_000_000, 1)):
            chord, rows = (column.reshape(len(part), asked) for column in tree.query(vectors[part], k=asked))
            far = (chord >= least) & (rows != part[:, None])
            order = np.argsort(~far, axis=1, kind="stable")[:, :count]
            rows = np.where(np.take_along_axis(far, order, 1), np.take_along_axis(rows, order, 1), -1)
            found[part, : rows.shape[1]] = rows
            unfilled.append(part[far.sum(axis=1) < count])
        if asked == len(vectors):
            break
        open_rows, asked = np.concatenate(unfilled), 4 * asked
    return found


def similar_neighbours(
    street: torch.Tensor,
    aerial: torch.Tensor,
    street_at: Degrees,
    aerial_at: Degrees,
    count: int,
    apart_m: float,
    block: int = 1024,
) -> np.ndarray:
    """Returns the pairs whose aerial image is most similar to each street photo and lies apart, int32 (n, count).

    Args:
        street, aerial: descriptors of n pairs, (n, d), on any device.
        street_at, aerial_at: their positions in degrees.
        count: neighbours of each pair, the most similar first; -1 fills up where there are not so many.
        apart_m: nearer aerial images show the same place.
        block: street photos compared at once; memory is 20 bytes per n x block.
    """
    mine, theirs = (torch.from_numpy(unit_vectors(*at)).to(street.device) for at in (street_at, aerial_at))
    # |a - b|^2 = 2 - 2 a.b, exact to a millimetre in double precision.
    most = 1 - float(km_to_chord(np.array(apart_m / 1000))) ** 2 / 2
    found = np.full((len(street), count), -1, np.int32)
    for start in range(0, len(street), block):
        part = slice(start, start + block)
        cosine = street[part] @ aerial.T
        cosine.masked_fill_(mine[part] @ theirs.T > most, -torch.inf)
        cosine.diagonal(start).fill_(-torch.inf)
        values, rows = cosine.topk(min(count, len(aerial)), dim=1)
        found[part, : rows.shape[1]] = rows.masked_fill(values.isneginf(), -1).cpu().numpy()
    return found


def neighbour_batches(neighbours: np.ndarray, batch_size: int, choose: int, draw: np.random.Generator) -> np.ndarray:
    """Makes batches of pairs and their neighbours, as https://arxiv.org/abs/2303.11851 does.

    A random pair is followed by `choose` of its neighbours: the first half of them in their order, the others at random
    from the rest. Then comes the next random pair, until the batch is full. Each pair is drawn once at most in a pass.

    Args:
        neighbours: neighbours of each pair, the nearest or most similar first, int (n, k), -1 for none.
        batch_size: pairs of a batch.
        choose: neighbours taken of each random pair, at most k.
        draw: random numbers.

    Returns:
        Rows of the pairs, int64 (n // batch_size, batch_size), in random order.

    Raises:
        ArgumentError: if there are not enough pairs for a batch.
    """
    if len(neighbours) < batch_size:
        raise ArgumentError(
            "batch_size", f"{batch_size} is more than the number of pairs ({len(neighbours)}); lower it"
        )
    used, rows, ordered = np.zeros(len(neighbours), bool), [], choose - choose // 2
    for start in draw.permutation(len(neighbours)):
        if used[start]:
            continue
        near = neighbours[start]
        near = near[near >= 0]
        near = near[~used[near] & (near != start)]
        others = draw.permutation(near[ordered:])[: choose // 2]
        room = batch_size - len(rows) % batch_size
        new = np.concatenate([[start], near[:ordered], others])[:room]
        used[new] = True
        rows.extend(new.tolist())
    whole = len(rows) // batch_size * batch_size
    return draw.permutation(np.array(rows[:whole], np.int64).reshape(-1, batch_size))


def position_buckets(latitude: np.ndarray, longitude: np.ndarray, metres: float = 5.0) -> np.ndarray:
    """Returns the square on the ground that each photo lies in, int64 (n,), numbered from 0 without gaps.

    Args:
        latitude, longitude: degrees, (n,).
        metres: side of a square.
    """
    per_degree = np.radians(6_371_008.8) / metres
    row = np.floor(np.asarray(latitude) * per_degree)
    circle = np.cos(np.radians((row + 0.5) / per_degree))
    column = np.floor(np.asarray(longitude) * per_degree * circle)
    return np.unique(np.stack([row, column]), axis=1, return_inverse=True)[1].reshape(-1)


def one_of_each(buckets: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Returns a random photo of each bucket in random order, int64, so that no place counts more than another.

    Args:
        buckets: buckets of the photos, int (n,), as `position_buckets` returns them.
        draw: random numbers.
    """
    order = draw.permutation(len(buckets))
    return draw.permutation(order[np.unique(buckets[order], return_index=True)[1]])
