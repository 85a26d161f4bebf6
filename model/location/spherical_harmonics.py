"""SatCLIP's location encoder: real spherical harmonics, then a SIREN."""

import math

import torch
from torch import nn

from commons.errors import ArgumentError
from model.location.encoder import LocationEncoder

FIRST_FREQUENCY = 30.0  # of SIREN's first layer
MOST_LEGENDRE = 100  # tested in float32


def spherical_harmonics(degrees: torch.Tensor, count: int) -> torch.Tensor:
    """Returns the real orthonormal spherical harmonics Y_l^m for l < count, float (n, count^2).

    Columns are ordered by l, then by m from -l to l. With z the sine of the latitude, x + iy = cos(latitude)
    e^(i longitude) and Q_l^m = N_l^m P_l^m(z) / cos^m(latitude), a polynomial of z without the Condon-Shortley phase:

        Y_l^m = sqrt(2) Q_l^m Re (x + iy)^m  for m > 0,   Q_l^0  for m = 0,   sqrt(2) Q_l^|m| Im (x + iy)^|m|  for m < 0

    Polynomials of x, y and z are smooth everywhere, poles and antimeridian included. Q follows from the recurrence of
    normalised Legendre functions, which is stable (https://doi.org/10.1007/s00190-002-0216-2, eq. 11 to 13).

    Args:
        degrees: latitudes and longitudes, float (n, 2).
        count: number of Legendre polynomials.
    """
    latitude, longitude = torch.deg2rad(degrees).unbind(dim=1)
    x, y, z = latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()[:, None]
    real, imaginary = _powers(x, y, count)
    last = before = degrees.new_zeros(len(degrees), 0)
    sectoral, found = math.sqrt(1 / (4 * math.pi)), []
    for l in range(count):  # noqa: E741
        m = torch.arange(l, dtype=torch.float64)
        a = ((4 * l * l - 1) / (l * l - m * m)).sqrt().to(degrees)
        b = (((l - 1) ** 2 - m * m).clamp(min=0) / max(4 * (l - 1) ** 2 - 1, 1)).sqrt().to(degrees)
        older = torch.cat([before, before.new_zeros(len(before), last.shape[1] - before.shape[1])], dim=1)
        inner = a * (z * last - b * older)
        sectoral *= math.sqrt((2 * l + 1) / (2 * l)) if l else 1
        before, last = last, torch.cat([inner, torch.full_like(z, sectoral)], dim=1)
        cosines, sines = (math.sqrt(2) * last[:, 1:] * part[:, 1 : l + 1] for part in (real, imaginary))
        found += [sines.flip(1), last[:, :1], cosines]
    return torch.cat(found, dim=1)


def _powers(x: torch.Tensor, y: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the real and imaginary parts of (x + iy)^m for m < count, (n, count) each."""
    real, imaginary = [torch.ones_like(x)], [torch.zeros_like(x)]
    for _ in range(count - 1):
        r, i = real[-1], imaginary[-1]
        real.append(x * r - y * i)
        imaginary.append(x * i + y * r)
    return torch.stack(real, dim=1), torch.stack(imaginary, dim=1)


class Sine(nn.Module):
    """A layer of a SIREN, sin(w (A x + b)) (https://arxiv.org/abs/2006.09661, section 3.2)."""

    def __init__(self, inputs: int, outputs: int, frequency: float = 1.0, first: bool = False) -> None:
        super().__init__()
        self.linear, self.frequency = nn.Linear(inputs, outputs), frequency
        bound = 1 / inputs if first else math.sqrt(6 / inputs) / frequency
        for parameter in self.linear.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.sin(self.frequency * self.linear(values))


class SphericalHarmonics(LocationEncoder):
    """Spherical harmonics and a SIREN (SatCLIP, https://arxiv.org/abs/2311.17179, section 3.2).

    It is smooth everywhere. The finest detail is about 20,000 km / legendre. No published weights are read: it
    is trained from scratch.
    """

    def __init__(self, *, legendre: int = 10, width: int = 512, layers: int = 2, dim: int = 256) -> None:
        """Args:
        legendre: number of Legendre polynomials; SatCLIP publishes networks with 10 and 40.
        width: width of the hidden layers.
        layers: number of hidden layers.
        dim: length of the embeddings.
        """
        super().__init__()
        if legendre > MOST_LEGENDRE:
            raise ArgumentError("location_encoder_options", f"legendre={legendre} is above {MOST_LEGENDRE}")
        self.legendre, self.dim = legendre, dim
        sizes = [legendre**2, *[width] * layers]
        self.layers = nn.Sequential(
            *[
                Sine(inputs, outputs, FIRST_FREQUENCY if number == 0 else 1.0, first=number == 0)
                for number, (inputs, outputs) in enumerate(zip(sizes, sizes[1:], strict=False))
            ]
        )
        self.head = nn.Linear(width, dim)
        bound = math.sqrt(6 / width)
        for parameter in self.head.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, degrees: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(spherical_harmonics(degrees, self.legendre)))
