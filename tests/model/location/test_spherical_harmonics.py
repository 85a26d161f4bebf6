import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from commons.errors import ArgumentError
from model.location.spherical_harmonics import SphericalHarmonics, spherical_harmonics


def points(count: int) -> torch.Tensor:
    draw = np.random.default_rng(0)
    degrees = np.stack([np.degrees(np.arcsin(draw.uniform(-1, 1, count))), draw.uniform(-180, 180, count)], axis=1)
    poles = [[90, 0], [90, 77], [-90, 0], [-90, -100], [89.999, 5], [0, 0], [0, 180], [0, -180]]
    return torch.tensor(np.concatenate([degrees, poles]))


def by_scipy(degrees: torch.Tensor, count: int) -> np.ndarray:
    """Real harmonics from SciPy's complex ones, whose Condon-Shortley phase (-1)^m is removed."""
    polar, azimuth = np.radians(90 - degrees[:, 0].numpy()), np.radians(degrees[:, 1].numpy())
    columns = []
    for degree in range(count):
        for order in range(-degree, degree + 1):
            complex_one = (-1) ** order * sph_harm_y(degree, abs(order), polar, azimuth)
            part = complex_one.real if order >= 0 else complex_one.imag
            columns.append(part if order == 0 else np.sqrt(2) * part)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize(("kind", "error"), [(torch.float64, 1e-11), (torch.float32, 5e-5)])
def test_harmonics_equal_those_of_scipy(kind: torch.dtype, error: float):
    degrees = points(300).to(kind)
    found = spherical_harmonics(degrees, 40)
    assert found.dtype == kind and found.shape == (308, 1600)
    # The largest value is 2.5; the truth is that of the same float32 degrees.
    np.testing.assert_allclose(found.numpy(), by_scipy(degrees.double(), 40), atol=error, rtol=0)


def test_first_harmonics_by_hand():
    found = spherical_harmonics(torch.tensor([[30.0, 90.0]], dtype=torch.float64), 2)[0]
    # Y_0^0 = 1 / sqrt(4 pi); Y_1 = sqrt(3 / (4 pi)) (y, z, x) with x = 0, y = cos 30, z = sin 30 degrees.
    assert found.tolist() == pytest.approx([0.2820948, 0.4886025 * 0.8660254, 0.4886025 * 0.5, 0.0], abs=1e-7)


def test_harmonics_of_a_hundred_polynomials_are_finite_and_orthonormal():
    found = spherical_harmonics(points(2000).float(), 100)
    assert found.isfinite().all()
    # The addition theorem: the squares of the harmonics of degree l sum up to (2 l + 1) / (4 pi).
    assert found.square().sum(dim=1).numpy() == pytest.approx(100**2 / (4 * np.pi), rel=1e-3)


@pytest.mark.parametrize("legendre", [10, 40])
def test_embeddings_are_the_same_on_both_sides_of_the_antimeridian_and_at_a_pole(legendre: int):
    torch.manual_seed(0)
    encoder = SphericalHarmonics(legendre=legendre).double()
    with torch.no_grad():
        west, east = encoder(torch.tensor([[12.0, -180.0], [12.0, 180.0]], dtype=torch.float64))
        pole = encoder(torch.tensor([[90.0, lon] for lon in (-170.0, 0.0, 45.0, 100.0)], dtype=torch.float64))
        # 1e-6 degrees to either side change little, and as much as anywhere else.
        step = 1e-6
        across = encoder(torch.tensor([[12.0, 180 - step], [12.0, -180 + step]], dtype=torch.float64))
        elsewhere = encoder(torch.tensor([[12.0, 80 - step], [12.0, 80 + step]], dtype=torch.float64))
        over = encoder(torch.tensor([[90 - step, 30.0], [90 - step, -150.0]], dtype=torch.float64))
    assert (west - east).abs().max() < 1e-9 and (pole - pole[0]).abs().max() < 1e-9
    usual = (elsewhere[0] - elsewhere[1]).norm()
    assert 0 < (across[0] - across[1]).norm() < 20 * usual
    assert 0 < (over[0] - over[1]).norm() < 20 * usual


def test_gradients_with_respect_to_positions_are_finite_everywhere():
    degrees = points(50).float().requires_grad_()
    torch.manual_seed(0)
    SphericalHarmonics(legendre=40)(degrees).square().sum().backward()
    assert degrees.grad.isfinite().all() and degrees.grad[:, 0].abs().min() > 0


def test_the_encoder_learns_from_scratch():
    torch.manual_seed(0)
    encoder = SphericalHarmonics(legendre=6, width=32, dim=1)
    degrees = points(500).float()
    wanted = torch.sin(3 * torch.deg2rad(degrees[:, 1])) * torch.cos(torch.deg2rad(degrees[:, 0])) ** 3
    optimizer = torch.optim.Adam(encoder.parameters(), 1e-2)
    for _ in range(150):
        loss = (encoder(degrees)[:, 0] - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05 * wanted.square().mean()


def test_too_many_polynomials_are_refused():
    with pytest.raises(ArgumentError, match="legendre=101 is above 100"):
        SphericalHarmonics(legendre=101)
