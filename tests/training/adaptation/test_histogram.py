import numpy as np
import torch

from training.adaptation.histogram import HistogramMatching


def matched(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The definition on one channel, value by value."""
    result = np.empty_like(source)
    ordered = np.sort(target, axis=None)
    for value in np.unique(source):
        count = (source <= value).sum()
        result[source == value] = ordered[count - 1]
    return result


def test_worked_by_hand():
    image = torch.tensor([[10, 10], [20, 30]], dtype=torch.uint8).expand(1, 3, 2, 2)
    target = torch.tensor([[0, 50], [50, 255]], dtype=torch.uint8).expand(1, 3, 2, 2)
    # Half of the image lies at or below 10, three quarters of the target at or below 50, a quarter at 0.
    assert HistogramMatching()(image, target)[0, 0].tolist() == [[50, 50], [50, 255]]


def test_equals_the_definition_channel_by_channel_and_image_by_image():
    torch.manual_seed(0)
    images = torch.randint(0, 40, (3, 3, 9, 7), dtype=torch.uint8)
    targets = (torch.randn(3, 3, 9, 7) * 30 + 128).clamp(0, 255).to(torch.uint8)
    ours = HistogramMatching()(images, targets).numpy()
    for index in np.ndindex(3, 3):
        assert np.array_equal(ours[index], matched(images[index].numpy(), targets[index].numpy()))


def test_different_values_give_the_targets_very_histogram():
    values = torch.randperm(256).to(torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    target = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    ours = HistogramMatching()(values, target)
    assert torch.equal(ours.flatten(2).sort()[0], target.flatten(2).sort()[0])


def test_an_image_is_its_own_target():
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(HistogramMatching()(images, images), images)
