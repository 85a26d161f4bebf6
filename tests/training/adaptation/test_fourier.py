import math

import numpy as np
import pytest
import torch

from commons.errors import ArgumentError
from training.adaptation.fourier import Fourier


def swapped(source: np.ndarray, target: np.ndarray, beta: float) -> np.ndarray:
    """The definition on one channel: the full spectrum with its origin in the middle."""
    a, b = (np.fft.fftshift(np.fft.fft2(x.astype(np.float64))) for x in (source, target))
    (height, width), reach = source.shape, math.floor(beta * min(source.shape))
    rows = slice(height // 2 - reach, height // 2 + reach + 1)
    columns = slice(width // 2 - reach, width // 2 + reach + 1)
    amplitude = np.abs(a)
    amplitude[rows, columns] = np.abs(b)[rows, columns]
    changed = np.fft.ifft2(np.fft.ifftshift(amplitude * np.exp(1j * np.angle(a))))
    assert np.abs(changed.imag).max() < 1e-6
    return changed.real


@pytest.mark.parametrize("size", [(16, 16), (15, 21), (20, 13)])
@pytest.mark.parametrize("beta", [0.01, 0.1, 0.3])
def test_equals_the_definition(size: tuple[int, int], beta: float):
    torch.manual_seed(0)
    images, targets = (torch.randint(60, 180, (2, 3, *size), dtype=torch.uint8) for _ in range(2))
    ours = Fourier(beta=beta)(images, targets)
    assert ours.dtype == torch.uint8
    for index in np.ndindex(2, 3):
        expected = swapped(images[index].numpy(), targets[index].numpy(), beta)
        assert np.abs(ours[index].numpy() - expected.round().clip(0, 255)).max() <= 1


def test_flat_images_take_the_targets_colour():
    images = torch.full((1, 3, 8, 8), 100, dtype=torch.uint8)
    targets = torch.tensor([10, 128, 250], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    assert torch.equal(Fourier()(images, targets), targets)


def test_an_image_is_its_own_target():
    images = torch.randint(0, 256, (2, 3, 24, 24), dtype=torch.uint8)
    assert torch.equal(Fourier(beta=0.2)(images, images), images)


def test_too_large_a_window():
    with pytest.raises(ArgumentError, match="beta=0.5"):
        Fourier(beta=0.5)
