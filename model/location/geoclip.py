"""GeoCLIP's location encoder: Equal Earth projection, random Fourier features at three scales, one MLP for each."""

import math
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from commons.errors import PlacewiseError
from model.location.encoder import LocationEncoder

A1, A2, A3, A4 = 1.340264, -0.081106, 0.000893, 0.003796
SCALE = 66.50336
SIGMAS = (2**0, 2**4, 2**8)  # standard deviations of the frequencies; wavelengths from 20,000 to about 80 km
FEATURES, WIDTH, DIM = 256, 1024, 512
PACKAGE, WEIGHTS = "geoclip", "model/weights/location_encoder_weights.pth"
INSTALL = "pip install --no-deps geoclip"


def equal_earth(degrees: torch.Tensor) -> torch.Tensor:
    """Returns the Equal Earth projection of latitudes and longitudes in degrees, (n, 2), as GeoCLIP scales it.

    With the latitude phi and the longitude lambda in radians and sin t = sqrt(3) / 2 sin phi,

        x = 2 sqrt(3) lambda cos t / (3 (9 A4 t^8 + 7 A3 t^6 + 3 A2 t^2 + A1))
        y = A4 t^9 + A3 t^7 + A2 t^3 + A1 t

    (https://doi.org/10.1080/13658816.2018.1504949, eq. 3 and 4), times 66.50336 / 180: x is in [-1, 1].
    """
    latitude, longitude = torch.deg2rad(degrees).unbind(dim=1)
    t = torch.asin(math.sqrt(3) / 2 * torch.sin(latitude))
    below = 3 * (9 * A4 * t**8 + 7 * A3 * t**6 + 3 * A2 * t**2 + A1)
    x = 2 * math.sqrt(3) * longitude * torch.cos(t) / below
    y = A4 * t**9 + A3 * t**7 + A2 * t**3 + A1 * t
    return torch.stack([x, y], dim=1) * SCALE / 180  # rounded as published


class FourierFeatures(nn.Module):
    """Random Fourier features, [cos 2 pi B v, sin 2 pi B v] with B ~ N(0, sigma^2) (https://arxiv.org/abs/2006.10739)."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.register_buffer("b", sigma * torch.randn(FEATURES, 2))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Returns (n, 512) of points (n, 2)."""
        with torch.autocast(points.device.type, enabled=False):  # there are thousands of turns
            turns = 2 * math.pi * points @ self.b.T
        return torch.cat([turns.cos(), turns.sin()], dim=1)


class Capsule(nn.Module):
    """Fourier features of one scale and an MLP; its parameters have the names of the published weights."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.capsule = nn.Sequential(
            FourierFeatures(sigma),
            nn.Linear(2 * FEATURES, WIDTH), nn.ReLU(),
            nn.Linear(WIDTH, WIDTH), nn.ReLU(),
            nn.Linear(WIDTH, WIDTH), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Linear(WIDTH, DIM))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.head(self.capsule(points))


class GeoClip(LocationEncoder):
    """The location encoder of GeoCLIP (https://arxiv.org/abs/2309.16020, section 3.2): 512 numbers, 9.45 M parameters.

    It is not continuous at the antimeridian and at the poles, where the projection is cut.
    """

    dim = DIM

    def __init__(self) -> None:
        super().__init__()
        for number, sigma in enumerate(SIGMAS):
            self.add_module(f"LocEnc{number}", Capsule(sigma))

    def forward(self, degrees: torch.Tensor) -> torch.Tensor:
        points = equal_earth(degrees)
        return sum(capsule(points) for capsule in self.children())


def installed_weights() -> Path:
    """Returns the file of published weights in the installed package geoclip, which is not imported.

    Raises:
        PlacewiseError: if the package is not installed.
    """
    found = find_spec(PACKAGE)
    file = Path(found.submodule_search_locations[0]) / WEIGHTS if found and found.submodule_search_locations else None
    if file is None or not file.is_file():
        raise PlacewiseError(f"GeoCLIP's weights come with a package that is not installed: {INSTALL}")
    return file
