import pytest
import torch

from losses.triplets import centroid_triplet, triplet
from tests.losses.batches import batch


def mean_of_positive(values: list[float]) -> float:
    kept = [value for value in values if value > 0]
    assert 0 < len(kept) < len(values)
    return sum(kept) / len(kept)


def test_triplet_equals_the_formula():
    x, labels = batch()
    d = torch.cdist(x, x).tolist()
    values = [
        d[a][p] - d[a][n] + 0.2
        for a in range(12)
        for p in range(12)
        for n in range(12)
        if labels[a] == labels[p] != labels[n] and a != p
    ]
    assert triplet(margin=0.2)(x, labels).item() == pytest.approx(mean_of_positive(values), abs=1e-6)


def test_centroid_triplet_equals_the_formula():
    x, labels = batch()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    x, labels = x[order], 7 * labels[order]
    values = []
    for i in range(12):
        own = x[[j for j in range(12) if labels[j] == labels[i] and j != i]].mean(0)
        for other in set(labels.tolist()) - {labels[i].item()}:
            negative = x[labels == other].mean(0)
            values.append(((x[i] - own) ** 2).sum().item() - ((x[i] - negative) ** 2).sum().item() + 0.3)
    assert centroid_triplet(margin=0.3)(x, labels).item() == pytest.approx(mean_of_positive(values), abs=1e-9)


def test_centroid_triplet_by_hand_and_without_a_partner():
    """|x - own|^2 = 0.8 for the first two, |x - other|^2 = 2; the third has no partner and costs nothing."""
    x = torch.tensor([[1, 0, 0], [0.6, 0.8, 0], [0, 0, 1]], requires_grad=True)
    labels = torch.tensor([0, 0, 1])
    assert centroid_triplet(margin=1.5)(x, labels).item() == pytest.approx(0.3, abs=1e-6)
    nothing = centroid_triplet(margin=0.1)(x, labels)
    nothing.backward()
    assert nothing.item() == 0 and (x.grad == 0).all()
