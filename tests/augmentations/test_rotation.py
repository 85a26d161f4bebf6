import pytest
import torch

from augmentations.rotation import Rotation
from commons.errors import UsageError


def test_angles_are_uniform():
    torch.manual_seed(0)
    (matrices,) = Rotation(degrees=30.0).draw(4000, 20, 20)
    angles = torch.rad2deg(torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert angles.abs().max() <= 30 and angles.mean().abs() < 1
    assert angles.std().item() == pytest.approx(30 / 3**0.5, rel=0.05)


def test_a_quarter_turn_of_a_square():
    images, quarter = torch.rand(1, 3, 6, 6), Rotation(degrees=90.0)
    quarter.draw = lambda *_: (torch.tensor([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]]),)
    assert torch.allclose(quarter(images.clone()), images.rot90(1, (2, 3)), atol=1e-5)


def test_more_than_half_a_turn_is_refused():
    with pytest.raises(UsageError, match="rotation.degrees=181"):
        Rotation(degrees=181.0)
