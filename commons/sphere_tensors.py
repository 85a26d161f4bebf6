"""Positions on the sphere as tensors, with gradients."""

import torch

from commons.sphere import EARTH_RADIUS_KM


def unit_vectors(degrees: torch.Tensor) -> torch.Tensor:
    """Returns unit vectors, (..., 3), of latitudes and longitudes in degrees, (..., 2)."""
    latitude, longitude = torch.deg2rad(degrees).unbind(dim=-1)
    return torch.stack(
        [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()], dim=-1
    )  # fmt: skip


def to_degrees(vectors: torch.Tensor) -> torch.Tensor:
    """Returns latitudes and longitudes in degrees, (..., 2), of vectors (..., 3) of any length above 0."""
    x, y, z = vectors.unbind(dim=-1)
    return torch.rad2deg(torch.stack([torch.atan2(z, torch.hypot(x, y)), torch.atan2(y, x)], dim=-1))


def tangents(degrees: torch.Tensor) -> torch.Tensor:
    """Returns unit vectors to the east and to the north, (n, 2, 3), at positions in degrees, (n, 2)."""
    latitude, longitude = torch.deg2rad(degrees).unbind(dim=1)
    zero, sine = torch.zeros_like(latitude), latitude.sin()
    east = torch.stack([-longitude.sin(), longitude.cos(), zero], dim=1)
    north = torch.stack([-sine * longitude.cos(), -sine * longitude.sin(), latitude.cos()], dim=1)
    return torch.stack([east, north], dim=1)


def moved(vectors: torch.Tensor, axes: torch.Tensor, km: torch.Tensor) -> torch.Tensor:
    """Returns unit vectors, (n, 3), that lie kilometres to the east and to the north of others.

    The way is along a tangent plane and then down to the sphere, which is right for distances far below the radius.

    Args:
        vectors: unit vectors, (n, 3).
        axes: their `tangents`, (n, 2, 3).
        km: to the east and to the north, (n, 2).
    """
    return torch.nn.functional.normalize(vectors + (km[:, :, None] * axes).sum(dim=1) / EARTH_RADIUS_KM, dim=1)
