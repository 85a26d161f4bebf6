import math

import pytest
import torch

from losses.pairs import circle, contrastive, multi_similarity, ntxent, supcon
from tests.losses.batches import batch


def each_image(x: torch.Tensor, labels: torch.Tensor) -> list[tuple[list[float], list[float]]]:
    """Cosines of each image with the others of its place and with those of other places."""
    cosine = (x @ x.T).tolist()
    return [
        (
            [c for j, c in enumerate(row) if labels[j] == labels[i] and j != i],
            [c for j, c in enumerate(row) if labels[j] != labels[i]],
        )
        for i, row in enumerate(cosine)
    ]


def test_multi_similarity_equals_the_formula():
    x, labels = batch()
    alpha, beta, base = 2.0, 40.0, 0.3
    losses = [
        math.log(1 + sum(math.exp(-alpha * (c - base)) for c in positives)) / alpha
        + math.log(1 + sum(math.exp(beta * (c - base)) for c in negatives)) / beta
        for positives, negatives in each_image(x, labels)
    ]
    found = multi_similarity(alpha=alpha, beta=beta, base=base)(x, labels)
    assert found.item() == pytest.approx(sum(losses) / 12, abs=1e-9)


def test_contrastive_equals_the_formula():
    x, labels = batch()
    pairs = each_image(x, labels)
    positives = [math.sqrt(2 - 2 * c) - 0.5 for own, _ in pairs for c in own]
    negatives = [1.2 - math.sqrt(2 - 2 * c) for _, others in pairs for c in others]
    expected = sum(sum(kept) / len(kept) for kept in ([v for v in side if v > 0] for side in (positives, negatives)))
    assert any(v < 0 for v in positives) and any(v < 0 for v in negatives)
    found = contrastive(pos_margin=0.5, neg_margin=1.2)(x, labels)
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_ntxent_equals_the_formula():
    x, labels = batch()
    losses = [
        -math.log(math.exp(c / 0.2) / (math.exp(c / 0.2) + sum(math.exp(n / 0.2) for n in negatives)))
        for positives, negatives in each_image(x, labels)
        for c in positives
    ]
    assert ntxent(temperature=0.2)(x, labels).item() == pytest.approx(sum(losses) / 24, abs=1e-6)


def test_supcon_equals_the_formula():
    x, labels = batch()
    losses = []
    for positives, negatives in each_image(x, labels):
        whole = sum(math.exp(c / 0.2) for c in positives + negatives)
        losses.append(-sum(math.log(math.exp(c / 0.2) / whole) for c in positives) / len(positives))
    assert supcon(temperature=0.2)(x, labels).item() == pytest.approx(sum(losses) / 12, abs=1e-6)


def test_supcon_and_ntxent_agree_where_images_have_one_partner():
    x, labels = batch(images=2)
    assert supcon(temperature=0.1)(x, labels).item() == pytest.approx(
        ntxent(temperature=0.1)(x, labels).item(), abs=1e-6
    )


def test_circle_equals_the_formula():
    x, labels = batch()
    m, gamma = 0.25, 8.0
    losses = []
    for positives, negatives in each_image(x, labels):
        near = sum(math.exp(-gamma * max(0, 1 + m - c) * (c - 1 + m)) for c in positives)
        far = sum(math.exp(gamma * max(0, c + m) * (c - m)) for c in negatives)
        losses.append(math.log(1 + near * far))
    assert circle(m=m, gamma=gamma)(x, labels).item() == pytest.approx(sum(losses) / 12, abs=1e-6)


def test_worked_by_hand():
    """Two places of two images, all at right angles to the other place's: cosines 0.6 and 0."""
    x = torch.tensor([[1, 0, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0.6, 0.8]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1])
    values = {
        multi_similarity(alpha=1, beta=50): math.log(1 + math.exp(-0.6)) + math.log(3) / 50,
        contrastive(pos_margin=0.1, neg_margin=1.5): math.sqrt(0.8) - 0.1 + 1.5 - math.sqrt(2),
        ntxent(temperature=0.5): -math.log(math.exp(1.2) / (math.exp(1.2) + 2)),
        circle(m=0.5, gamma=2): math.log(1 + 2 * math.exp(-2 * 0.5 * 0.5) * math.exp(-2 * 0.9 * 0.1)),
    }
    for loss, expected in values.items():
        assert loss(x, labels).item() == pytest.approx(expected, abs=1e-6)
