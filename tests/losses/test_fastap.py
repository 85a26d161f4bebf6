import pytest
import torch

from losses.fastap import fastap
from tests.losses.batches import batch


def soft_histogram(distances: torch.Tensor, bins: int) -> list[float]:
    """Each squared distance shares itself between the two nearest of bins + 1 edges, linearly."""
    width = 4 / bins
    return [sum(max(0.0, 1 - abs(d - edge * width) / width) for d in distances.tolist()) for edge in range(bins + 1)]


@pytest.mark.parametrize("bins", [4, 10])
def test_equals_the_formula(bins: int):
    x, labels = batch()
    squared = torch.cdist(x, x) ** 2
    losses = []
    for i in range(12):
        others = torch.arange(12) != i
        positives = soft_histogram(squared[i][others & (labels == labels[i])], bins)
        whole = soft_histogram(squared[i][others], bins)
        precision = sum(
            positives[j] * sum(positives[: j + 1]) / sum(whole[: j + 1]) for j in range(bins + 1) if positives[j] > 0
        )
        losses.append(1 - precision / 2)
    assert fastap(bins=bins)(x, labels).item() == pytest.approx(sum(losses) / 12, abs=1e-6)


def test_a_perfect_ranking_costs_nothing():
    x = torch.eye(3, dtype=torch.float64).repeat_interleave(2, 0)
    assert fastap()(x, torch.tensor([0, 0, 1, 1, 2, 2])).item() == pytest.approx(0, abs=1e-9)
