import copy

import pytest
import torch
from torch import nn

from commons.errors import ArgumentError
from training.adaptation.batch_norm import _whole_batches, adapt_batch_norm


def test_one_layer_worked_by_hand_in_any_batches():
    images = torch.tensor([[1.0, 10.0], [3.0, 10.0], [8.0, 40.0], [4.0, 20.0]])
    for sizes in ([4], [2, 2]):
        norm = nn.BatchNorm1d(2)
        adapt_batch_norm(norm, images.split(sizes))
        assert norm.running_mean.tolist() == [4.0, 20.0]
        assert norm.running_var.tolist() == pytest.approx([26 / 3, 200.0])


def deep() -> nn.Sequential:
    torch.manual_seed(0)
    block = [[nn.Conv2d(4 if i else 3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)] for i in range(4)]
    return nn.Sequential(*(layer for layers in block for layer in layers), nn.Dropout(0.9))


def own_statistics(images: torch.Tensor) -> dict[str, torch.Tensor]:
    """An independent way: PyTorch's own statistics with momentum 1 over all images at once."""
    whole = deep().train()
    for layer in whole:
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    whole(images)
    return {name: value for name, value in whole.state_dict().items() if "running" in name}


def test_a_deep_network_gets_what_one_batch_of_all_images_gives():
    images = 5 + 3 * torch.randn(32, 3, 24, 24)
    expected = own_statistics(images)
    for sizes, tolerance in (([32], 1e-5), ([8] * 4, 0.02)):
        network = deep()
        adapt_batch_norm(network, images.split(sizes))
        for name, value in expected.items():
            assert torch.allclose(network.state_dict()[name], value, rtol=tolerance, atol=tolerance), name


def test_a_large_mean_does_not_drown_a_small_variance():
    norm = nn.BatchNorm1d(1)
    images = (1000 + 0.01 * torch.randn(4000, 1, dtype=torch.float64)).float()
    adapt_batch_norm(norm, images.split([1000, 1500, 1500]))
    assert norm.running_var.item() == pytest.approx(images.double().var().item(), rel=1e-3)


def test_images_of_different_sizes_count_by_their_pixels():
    norm = nn.BatchNorm2d(1)
    adapt_batch_norm(norm, [torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 6), 4.0)])
    assert norm.running_mean.item() == 3


def test_nothing_but_the_statistics_changes():
    network = deep().train()
    before = copy.deepcopy(network.state_dict())
    adapt_batch_norm(network, (2 + 0.3 * torch.randn(8, 3, 20, 20)).split([4, 4]))
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if "running" in name or "num_batches" in name}
    assert not any(layer.training for layer in network)
    assert not any(layer._forward_pre_hooks for layer in network)


def test_adapted_features_are_standard():
    network = deep()
    images = 2 + 0.3 * torch.randn(64, 3, 20, 20)
    adapt_batch_norm(network, images.split(16))
    normalised = network[:11](images)
    assert normalised.mean(dim=(0, 2, 3)).abs().max() < 0.05
    assert (normalised.std(dim=(0, 2, 3)) - 1).abs().max() < 0.05


def test_a_network_without_batch_norm_is_refused():
    with pytest.raises(ArgumentError, match="no batch normalization"):
        adapt_batch_norm(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), [torch.ones(2, 2)])


def test_a_last_image_alone_is_normalised_with_the_batch_before():
    """A map of 1x1 has no variance over one image."""
    norm = nn.BatchNorm2d(2)
    images = torch.tensor([[1.0, 10], [2, 20], [6, 60]]).view(3, 2, 1, 1)
    adapt_batch_norm(norm, images.split(2))
    assert norm.running_mean.tolist() == pytest.approx([3, 30])
    assert norm.running_var.tolist() == pytest.approx([7, 700])


def test_a_last_smaller_batch_is_joined_to_the_one_before():
    images = torch.randn(10, 3, 8, 8)
    sizes = [len(batch) for batch in _whole_batches(images.split(4))]
    assert sizes == [4, 6]
    assert [len(batch) for batch in _whole_batches(images[:7].split(4))] == [4, 3]
    assert [len(batch) for batch in _whole_batches(images.split([4, 1, 4, 1]))] == [5, 5]
