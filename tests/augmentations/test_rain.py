import math

import pytest
import torch

from augmentations.rain import DROPS, OPACITY, Rain, draw_streaks
from commons.errors import UsageError


def test_drops_are_smeared_down_a_ninth_and_thin():
    """Without a slant, a row of a streak holds a drop in any of 2 * 4 + 1 rows: a share of 1 - (1 - 0.008)^9."""
    streaks = draw_streaks(
        torch.zeros(1, 3, 144, 400), torch.ones(1, 1, 1, 1), torch.eye(3)[None], torch.Generator().manual_seed(0)
    )
    wet = streaks[0, 0, 10:-10] > 0.5 * OPACITY
    assert wet.float().mean().item() == pytest.approx(1 - (1 - DROPS) ** 9, rel=0.1)
    starts = (wet[1:] & ~wet[:-1]).sum() / wet[1:].numel()
    assert starts.item() == pytest.approx(DROPS * (1 - DROPS) ** 9, rel=0.12)
    assert streaks.max().item() == pytest.approx(OPACITY, abs=1e-4)


def test_the_veil_takes_colour_and_contrast(monkeypatch: pytest.MonkeyPatch):
    """Red 0.8 has the grey value 0.2391: 0.6 * 0.8 + 0.4 * 0.2391 = 0.5756, then 0.8 * 0.5756 + 0.2 * 0.2391."""
    monkeypatch.setattr("augmentations.rain.DROPS", 0.0)
    red = torch.tensor([0.8, 0.0, 0.0]).view(1, 3, 1, 1).repeat(1, 1, 8, 8)
    out = Rain().augment(red, torch.tensor([1.0]), torch.eye(3)[None], torch.tensor([1]))
    assert out[0, :, 4, 4].tolist() == pytest.approx([0.50833, 0.12434, 0.12434], abs=1e-4)


def test_draws():
    torch.manual_seed(0)
    amounts, turns, _ = Rain(amount=0.8).draw(3000, 20, 20)
    assert amounts.max() <= 0.8 and amounts.mean().item() == pytest.approx(0.4, abs=0.02)
    angles = torch.atan2(turns[:, 1, 0], turns[:, 0, 0]) * 180 / math.pi
    assert angles.abs().max() <= 20 + 1e-4 and angles.std().item() == pytest.approx(20 / 3**0.5, rel=0.05)


def test_amount_ends_at_one():
    with pytest.raises(UsageError, match="rain.amount=3"):
        Rain(amount=3.0)
