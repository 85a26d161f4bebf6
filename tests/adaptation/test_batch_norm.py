from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from adaptation.batch_norm import adapt_batch_norm
from commons.errors import UsageError


def in_batches(images: torch.Tensor, *sizes: int) -> Callable[[], Iterator[torch.Tensor]]:
    return lambda: iter(images.split(list(sizes)))


def test_one_layer_worked_by_hand():
    norm = nn.BatchNorm1d(2)
    images = torch.tensor([[1.0, 10.0], [3.0, 10.0], [8.0, 40.0]])
    passes, change = adapt_batch_norm(norm, in_batches(images, 2, 1))
    assert norm.running_mean.tolist() == [4.0, 20.0]
    assert norm.running_var.tolist() == [13.0, 300.0]
    assert (passes, change) == (2, 0)
    assert not norm.training


def deep() -> nn.Sequential:
    torch.manual_seed(0)
    block = [[nn.Conv2d(4 if i else 3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)] for i in range(4)]
    return nn.Sequential(*(layer for layers in block for layer in layers))


def test_equals_one_batch_of_all_images_in_training_mode():
    """An independent way: PyTorch's own statistics with momentum 1 over everything at once."""
    images = 5 + 3 * torch.randn(10, 3, 24, 24)
    whole = deep().train()
    for layer in whole:
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    whole(images)
    expected = whole.state_dict()
    for sizes in ((10,), (4, 4, 2), (1,) * 10):
        network = deep()
        passes, _ = adapt_batch_norm(network, in_batches(images, *sizes))
        assert 2 <= passes <= 5
        for name, value in network.state_dict().items():
            if "running" in name:
                assert torch.allclose(value, expected[name], rtol=2e-3, atol=1e-3), name


def test_a_large_mean_does_not_drown_a_small_variance():
    norm = nn.BatchNorm1d(1)
    images = 1000 + 0.01 * torch.randn(4000, 1, dtype=torch.float64)
    adapt_batch_norm(norm, in_batches(images.float(), 1000, 1500, 1500))
    assert norm.running_var.item() == pytest.approx(images.float().double().var().item(), rel=1e-3)


def test_images_of_different_sizes_count_by_their_pixels():
    norm = nn.BatchNorm2d(1)
    batches = [torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 6), 4.0)]
    adapt_batch_norm(norm, lambda: iter(batches))
    assert norm.running_mean.item() == 3


def test_other_weights_stay_and_descriptors_become_standard():
    network = deep()
    before = {name: p.clone() for name, p in network.named_parameters()}
    images = 2 + 0.3 * torch.randn(8, 3, 20, 20)
    adapt_batch_norm(network, in_batches(images, 3, 3, 2))
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())
    normalised = network[:11](images)
    assert normalised.mean(dim=(0, 2, 3)).abs().max() < 0.01


def test_a_network_without_batch_norm_is_refused():
    with pytest.raises(UsageError, match="no batch normalisation"):
        adapt_batch_norm(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), in_batches(torch.ones(2, 2), 2))
