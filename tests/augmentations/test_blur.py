import pytest
import torch
from torchvision.transforms.v2 import functional as F

from augmentations.blur import Blur, gaussian_blur


def test_blur_equals_torchvision_image_by_image():
    images, sigmas = torch.rand(3, 3, 24, 31), [0.3, 1.0, 2.5]
    expected = torch.stack([F.gaussian_blur(i, [15, 15], [s, s]) for i, s in zip(images, sigmas, strict=True)])
    assert torch.allclose(gaussian_blur(images, torch.tensor(sigmas), 7), expected, atol=1e-5)


def test_a_point_becomes_the_kernel():
    """Weights 1 and exp(-1/2) = 0.6065 on both sides, divided by their sum 2.2131: 0.4519 and 0.2741."""
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 2, 2] = 1
    blurred = gaussian_blur(image, torch.tensor([1.0]), 1)[0, 0]
    assert blurred[2, 2].item() == pytest.approx(0.4519**2, abs=1e-4)
    assert blurred[1, 2].item() == pytest.approx(0.4519 * 0.2741, abs=1e-4)
    assert blurred[1, 1].item() == pytest.approx(0.2741**2, abs=1e-4)
    assert blurred.sum().item() == pytest.approx(1)


def test_sigmas_are_uniform():
    torch.manual_seed(0)
    (sigmas,) = Blur(sigma=2.1).draw(4000, 9, 9)
    assert sigmas.min() >= 0.1 and sigmas.max() <= 2.1
    assert sigmas.mean().item() == pytest.approx(1.1, abs=0.04)
    assert sigmas.std().item() == pytest.approx(2 / 12**0.5, abs=0.03)


def test_images_smaller_than_the_kernel():
    assert Blur(sigma=9.0, p=1.0)(torch.rand(2, 3, 4, 5)).shape == (2, 3, 4, 5)
