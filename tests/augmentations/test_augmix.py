import pytest
import torch

from augmentations.augmix import NAMES, AugMix
from commons.errors import UsageError


def test_chains_are_mixed_with_the_original():
    """0.2 x + 0.5 solarized twice at 0 (which is x) + 0.3 (1 - x), at x = 0.25: 0.05 + 0.125 + 0.225."""
    solarize = NAMES.index("solarize")
    operations = torch.tensor([[[solarize, solarize, -1], [solarize, -1, -1]]])
    out = AugMix(width=2).augment(
        torch.full((1, 3, 2, 2), 0.25), operations, torch.zeros(1, 2, 3), torch.tensor([[0.5, 0.3, 0.2]])
    )
    assert torch.allclose(out, torch.tensor(0.4))


def test_draws():
    torch.manual_seed(0)
    operations, amounts, shares = AugMix(severity=3.0, alpha=1.0).draw(3000, 10, 10)
    assert torch.allclose(shares.sum(1), torch.ones(3000), atol=1e-5)
    # Beta(1, 1) is uniform; chains share the rest in equal parts, with Dirichlet(1, 1, 1)'s variance 1/18.
    assert shares[:, 3].mean().item() == pytest.approx(0.5, abs=0.02)
    assert shares[:, 3].std().item() == pytest.approx(12**-0.5, abs=0.01)
    own = shares[:, :3] / (1 - shares[:, 3:])
    assert torch.allclose(own.mean(0), torch.tensor(1 / 3), atol=0.015)
    assert torch.allclose(own.var(0), torch.tensor(1 / 18), atol=0.005)
    lengths = (operations >= 0).sum(2)
    assert torch.allclose(torch.bincount(lengths.flatten()) / 9000, torch.tensor([0, 1 / 3, 1 / 3, 1 / 3]), atol=0.02)
    assert (operations[:, :, 0] >= 0).all() and len(NAMES) == 9
    degrees = amounts[operations == NAMES.index("rotate")].abs()
    assert degrees.min() >= 0.3 - 1e-4 and degrees.max() <= 9 and degrees.mean().item() == pytest.approx(4.65, abs=0.3)


def test_strengths_out_of_range_are_refused():
    with pytest.raises(UsageError, match="augmix.severity=11"):
        AugMix(severity=11.0)
    with pytest.raises(UsageError, match="augmix.alpha=0: must be above 0"):
        AugMix(alpha=0.0)
