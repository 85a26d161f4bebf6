import torch

from losses.miners import batch_hard, multi_similarity_miner, pair_margin, semihard
from tests.losses.batches import batch


def pairs(first: torch.Tensor, second: torch.Tensor) -> set[tuple[int, int]]:
    return set(zip(first.tolist(), second.tolist(), strict=True))


def all_pairs(labels: torch.Tensor) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    n = range(len(labels))
    positives = [(i, j) for i in n for j in n if i != j and labels[i] == labels[j]]
    return positives, [(i, j) for i in n for j in n if labels[i] != labels[j]]


def test_multi_similarity_keeps_pairs_that_overlap():
    x, labels = batch()
    c = (x @ x.T).tolist()
    positives, negatives = all_pairs(labels)
    a1, p, a2, n = multi_similarity_miner(epsilon=0.05)(x, labels)
    assert pairs(a1, p) == {
        (i, j) for i, j in positives if c[i][j] - 0.05 < max(c[i][k] for q, k in negatives if q == i)
    }
    assert pairs(a2, n) == {
        (i, j) for i, j in negatives if c[i][j] + 0.05 > min(c[i][k] for q, k in positives if q == i)
    }
    assert 0 < len(p) < len(positives) and 0 < len(n) < len(negatives)


def test_semihard_keeps_negatives_just_behind_the_positive():
    x, labels = batch()
    d = torch.cdist(x, x).tolist()
    positives, negatives = all_pairs(labels)
    expected = {(a, p, n) for a, p in positives for b, n in negatives if a == b and 0 < d[a][n] - d[a][p] <= 0.2}
    a, p, n = semihard(margin=0.2)(x, labels)
    assert set(zip(a.tolist(), p.tolist(), n.tolist(), strict=True)) == expected and expected


def test_batch_hard_takes_the_extremes():
    x, labels = batch()
    d = torch.cdist(x, x)
    same = labels[:, None] == labels
    a, p, n = batch_hard()(x, labels)
    assert a.tolist() == list(range(12))
    assert p.tolist() == d.masked_fill(~same, -1).argmax(1).tolist()
    assert n.tolist() == d.masked_fill(same, 9).argmin(1).tolist()


def test_pair_margin_keeps_what_is_not_well_placed():
    x, labels = batch()
    d = torch.cdist(x, x).tolist()
    positives, negatives = all_pairs(labels)
    a1, p, a2, n = pair_margin(pos_margin=0.8, neg_margin=1.2)(x, labels)
    assert pairs(a1, p) == {(i, j) for i, j in positives if d[i][j] > 0.8}
    assert pairs(a2, n) == {(i, j) for i, j in negatives if d[i][j] < 1.2}
    assert 0 < len(p) < len(positives) and 0 < len(n) < len(negatives)
