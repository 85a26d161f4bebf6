import pytest
import torch
from torch.nn import functional as F

from training.adaptation import ADAPTATIONS, DESCRIPTOR_ADAPTATIONS, IMAGE_ADAPTATIONS


@pytest.mark.parametrize("name", IMAGE_ADAPTATIONS)
def test_image_adaptations_keep_shape_and_type_and_change_images(name: str):
    images, targets = (torch.randint(low, low + 100, (4, 3, 32, 32), dtype=torch.uint8) for low in (0, 150))
    adapted = IMAGE_ADAPTATIONS[name]()(images, targets)
    assert (adapted.shape, adapted.dtype) == (images.shape, torch.uint8)
    assert adapted.float().mean() > images.float().mean() + 50


@pytest.mark.parametrize("name", DESCRIPTOR_ADAPTATIONS)
def test_descriptor_adaptations_give_a_loss_with_a_gradient(name: str):
    source, target = (F.normalize(torch.randn(n, 8), dim=1).requires_grad_() for n in (6, 4))
    loss = DESCRIPTOR_ADAPTATIONS[name](8)(source, target, 0.5)
    loss.backward()
    assert loss.shape == () and loss.item() > 0
    assert source.grad.abs().max() > 0 and target.grad.abs().max() > 0


def test_every_adaptation_has_a_name():
    assert set(ADAPTATIONS) == set(IMAGE_ADAPTATIONS) | set(DESCRIPTOR_ADAPTATIONS)
