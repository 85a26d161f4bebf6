import math

import pytest
import torch
from torchvision.transforms.v2 import functional as F

from augmentations.gamma import Gamma


def test_gamma_equals_torchvision_image_by_image():
    images, gammas = torch.rand(3, 3, 7, 7), [0.5, 1.0, 2.0]
    expected = torch.stack([F.adjust_gamma(i, g) for i, g in zip(images, gammas, strict=True)])
    assert torch.allclose(Gamma().augment(images.clone(), torch.tensor(gammas)), expected, atol=1e-6)
    assert Gamma().augment(torch.full((1, 3, 1, 1), 0.25), torch.tensor([0.5]))[0, 0].item() == pytest.approx(0.5)


def test_exponents_are_log_uniform():
    torch.manual_seed(0)
    (gammas,) = Gamma(strength=1.0).draw(4000, 5, 5)
    assert gammas.min() >= 0.5 and gammas.max() <= 2
    logs = gammas.log()
    assert abs(logs.mean().item()) < 0.03 and logs.std().item() == pytest.approx(math.log(2) / 3**0.5, rel=0.04)
