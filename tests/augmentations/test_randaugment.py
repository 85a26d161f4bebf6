import pytest
import torch

from augmentations.randaugment import NAMES, RandAugment
from commons.errors import UsageError


def test_operations_are_uniform_and_equally_strong():
    torch.manual_seed(0)
    operations, amounts = RandAugment(num_ops=3, magnitude=15.0).draw(2000, 10, 10)
    assert operations.shape == amounts.shape == (2000, 3)
    share = torch.bincount(operations.flatten(), minlength=14) / 6000
    assert len(NAMES) == 14 and (share - 1 / 14).abs().max() < 0.015
    expected = {"rotate": [-15, 15], "solarize": [0.5], "posterize": [6], "shear_x": [-0.15, 0.15], "equalize": [0]}
    for name, values in expected.items():
        assert amounts[operations == NAMES.index(name)].unique().tolist() == pytest.approx(values)


def test_operations_follow_each_other():
    """Half the brightness, then everything above 0.3 inverted."""
    images = torch.tensor([0.2, 0.5, 0.8]).view(1, 1, 1, 3).repeat(1, 3, 1, 1)
    operations = torch.tensor([[NAMES.index("brightness"), NAMES.index("solarize")]])
    out = RandAugment().augment(images, operations, torch.tensor([[0.5, 0.3]]))
    assert out[0, 0, 0].tolist() == pytest.approx([0.1, 0.25, 0.6])


def test_magnitude_ends_at_thirty():
    with pytest.raises(UsageError, match="randaugment.magnitude=31: must be between 0 and 30"):
        RandAugment(magnitude=31.0)
