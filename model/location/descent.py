"""From location embeddings to positions by descent through the encoder, without training."""

import torch
from torch.nn.functional import normalize

from commons.sphere_tensors import moved, tangents, to_degrees, unit_vectors
from model.location.encoder import LocationEncoder

BATCH = 1024  # positions at once
PROBE_KM = 0.05  # to the east and to the north, for derivatives
LONGEST_KM = 10.0  # step
DAMPING, LEAST_RAISED, LOWER, RAISE = 1e-3, 1e-2, 0.2, 10.0


def descend(
    encoder: LocationEncoder, embeddings: torch.Tensor, starts: torch.Tensor, iterations: int = 12
) -> torch.Tensor:
    """Moves positions until their embeddings point in the wanted direction, and returns the best of each query.

    The Levenberg-Marquardt method (https://doi.org/10.1137/0111030) minimises the squared distance of the normalised
    embeddings, 2 - 2 cos, over kilometres to the east and to the north, so there is no cut at poles and antimeridian.
    Derivatives are differences over 50 m. A step that does not lower the distance is not taken. All queries descend at
    once. The end is a local minimum, so a start must be near enough: about 5 km for GeoCLIP's encoder, whose finest
    features have wavelengths of tens of kilometres.

    Args:
        encoder: encoder, on any device.
        embeddings: wanted, (q, d), of any length.
        starts: latitudes and longitudes in degrees, (q, 2), or s for each query, (q, s, 2), of which the one that ends
            at the least distance counts.
        iterations: steps; each encodes three positions per start.

    Returns:
        Degrees, float64 (q, 2).
    """
    several = starts if starts.ndim == 3 else starts[:, None]
    count = several.shape[1]
    wanted = normalize(embeddings.float(), dim=1).repeat_interleave(count, dim=0)
    parts = zip(wanted.split(BATCH), several.reshape(-1, 2).split(BATCH), strict=True)
    found = [_descend(encoder, part, start, iterations) for part, start in parts]
    positions = torch.cat([part[0] for part in found]).reshape(-1, count, 2)
    best = torch.cat([part[1] for part in found]).reshape(-1, count).argmin(dim=1)
    return positions[torch.arange(len(best)), best]


@torch.no_grad()
def _descend(
    encoder: LocationEncoder, wanted: torch.Tensor, starts: torch.Tensor, iterations: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the last positions of a batch, degrees, float64 (n, 2), and their squared distances, (n,)."""
    vectors = unit_vectors(starts.double())
    residual, slopes, axes = _linearised(encoder, wanted, vectors)
    damping = torch.full((len(vectors),), DAMPING, dtype=torch.float64)
    for _ in range(iterations):
        curvature = slopes @ slopes.mT
        diagonal = curvature.diagonal(dim1=1, dim2=2)
        damped = curvature + torch.diag_embed(diagonal * damping[:, None] + 1e-12)
        step = -torch.linalg.solve(damped, slopes @ residual[:, :, None])[:, :, 0]
        step *= LONGEST_KM / step.norm(dim=1, keepdim=True).clamp(min=LONGEST_KM)
        there = moved(vectors, axes, step)
        new = _linearised(encoder, wanted, there)
        better = new[0].square().sum(dim=1) < residual.square().sum(dim=1)
        vectors = torch.where(better[:, None], there, vectors)
        residual = torch.where(better[:, None], new[0], residual)
        slopes, axes = (
            torch.where(better[:, None, None], now, old) for now, old in zip(new[1:], (slopes, axes), strict=True)
        )
        damping = torch.where(better, damping * LOWER, damping.clamp(min=LEAST_RAISED) * RAISE)
    return to_degrees(vectors), residual.square().sum(dim=1)


def _linearised(
    encoder: LocationEncoder, wanted: torch.Tensor, vectors: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns embeddings minus wanted ones, (n, d), their change per km, (n, 2, d), and the axes, (n, 2, 3)."""
    axes = tangents(to_degrees(vectors))
    probes = [moved(vectors, axes, torch.tensor([km]).double()) for km in ((0, 0), (PROBE_KM, 0), (0, PROBE_KM))]
    degrees = to_degrees(torch.stack(probes, dim=1)).reshape(-1, 2)
    device = next(encoder.parameters()).device
    embeddings = normalize(encoder(degrees.float().to(device)), dim=1).double().cpu()
    here, *probed = embeddings.reshape(len(vectors), 3, -1).unbind(dim=1)
    return here - wanted, torch.stack([other - here for other in probed], dim=1) / PROBE_KM, axes
