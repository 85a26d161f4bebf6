import math

import pytest
import torch

from augmentations.night import Night, lamp_light, sky
from commons.errors import ArgumentError


def test_light_goes_in_linear_light():
    """Without lamps: (tint^d (1 - d) g^2.2)^(1/2.2) = (1 - d)^(1/2.2) tint^(d/2.2) g, and 0.25^(1/2.2) = 0.5325."""
    images = torch.tensor([0.4, 0.4, 0.2]).view(1, 3, 1, 1).repeat(1, 1, 32, 32)
    tints = torch.tensor([[1.0, 0.7, 0.3]])
    lamps = torch.zeros(1, 4, 3)
    lamps[:, 2] = 0.2
    out = Night(noise=0.0).augment(images, torch.tensor([0.75]), tints, lamps, torch.tensor([1]))
    expected = 0.5325 * torch.tensor([0.4, 0.4, 0.2]) * tints[0] ** (0.75 / 2.2)
    assert torch.allclose(out[0, :, 20, 7], expected, atol=1e-3)


def test_a_lamp_lights_what_is_near():
    lamps = torch.tensor([0.5, 0.25, 0.1, 0.8]).view(1, 4, 1)
    pools, glares = lamp_light(lamps, 20, 40)
    # The centre of pixel (4, 9) is at (0.475, 0.225): 0.025 away in both directions.
    assert pools[0, 0, 4, 9].item() == pytest.approx(0.8 * math.exp(-0.00125 / 0.02), rel=1e-4)
    assert glares[0, 0, 4, 9].item() == pytest.approx(0.8 * math.exp(-(0.00125**0.5) / 0.02), rel=1e-4)
    assert pools.shape == (1, 1, 20, 40) and pools[0, 0, 19, 39] < 1e-3


def test_sky_is_bright_and_not_yellow_and_above():
    blue, yellow, dark = (torch.tensor(c).view(1, 3, 1, 1) for c in ([0.6, 0.8, 1.0], [1.0, 1.0, 0.8], [0.2, 0.2, 0.3]))
    guessed = sky(torch.cat([colour.expand(1, 3, 32, 32) for colour in (blue, yellow, dark)]))
    assert (guessed[0, 0, :8] > 0.99).all() and (guessed[0, 0, -4:] == 0).all()
    assert guessed[1:].max() == 0


def test_draws():
    torch.manual_seed(0)
    dark, tints, lamps, seeds = Night(darkness=0.9).draw(3000, 50, 100)
    assert dark.min() >= 0.63 and dark.max() <= 0.9 and dark.mean().item() == pytest.approx(0.765, abs=0.01)
    assert torch.allclose(tints.mean(0), torch.tensor([1.0, 0.85, 0.65]), atol=0.02)
    assert torch.allclose(lamps.mean((0, 2)), torch.tensor([1.0, 0.25, 0.225, 0.5]), atol=0.03)
    assert len(seeds.unique()) == 3000


def test_noise_has_its_deviation():
    images, lamps = torch.full((1, 3, 64, 64), 0.45), torch.zeros(1, 4, 3)
    lamps[:, 2] = 0.2
    dull = [
        Night(noise=noise).augment(images.clone(), torch.tensor([0.5]), torch.ones(1, 3), lamps, torch.tensor([1]))
        for noise in (0.0, 0.04)
    ]
    assert (dull[1] - dull[0]).std().item() == pytest.approx(0.02, rel=0.05)


def test_more_than_all_light_is_refused():
    with pytest.raises(ArgumentError, match="night.darkness=1.1"):
        Night(darkness=1.1)
