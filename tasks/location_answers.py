"""All ways from location embeddings to positions, and how far from the truth they lead."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

import numpy as np
import torch

from commons.sphere_tensors import to_degrees
from metrics.geodesic import distances_km, geodesic_metrics
from model.location.decoder import LocationDecoder
from model.location.descent import descend
from model.location.encoder import LocationEncoder
from model.location.gallery import Gallery

NEIGHBOURS, TEMPERATURES = (2, 4, 8), (0.02, 0.05, 0.1, 0.2)
STARTS = 4  # nearest positions from which a descent starts

TRAINED = "decoder"
P95, MAX, SPEED = "95 % km", "max km", "ms per position"

Answerer = Callable[[torch.Tensor], torch.Tensor]


@torch.no_grad()
def answer(decoder: LocationDecoder, embeddings: torch.Tensor) -> torch.Tensor:
    """Returns the answers of a trained decoder, degrees, float64 (n, 2) on the CPU, and leaves it in mode eval."""
    decoder.eval()
    return to_degrees(decoder(embeddings.to(decoder.frame.device)).double()).cpu()


def choose_softmax(gallery: Gallery, embeddings: torch.Tensor, truth: torch.Tensor) -> tuple[int, float]:
    """Returns the number of neighbours and the temperature with the least mean error.

    Args:
        gallery: positions with embeddings.
        embeddings: embeddings of validation positions, float32 (n, d).
        truth: their latitudes and longitudes in degrees, (n, 2).
    """
    rows, similarities = gallery.nearest(embeddings, max(NEIGHBOURS))
    pairs = list(product(NEIGHBOURS, TEMPERATURES))
    errors = [
        distances_km(*gallery.average(rows[:, :k], similarities[:, :k], t).numpy().T, *truth.numpy().T).mean()
        for k, t in pairs
    ]
    return pairs[int(np.argmin(errors))]


def without_training(gallery: Gallery, encoder: LocationEncoder, softmax: tuple[int, float]) -> dict[str, Answerer]:
    """Returns functions from embeddings, float32 (n, d), to degrees, float64 (n, 2), by name, that need a gallery.

    Args:
        gallery: positions with embeddings.
        encoder: encoder that they belong to.
        softmax: neighbours and temperature.
    """

    def neighbours_first(embeddings: torch.Tensor) -> torch.Tensor:
        return descend(encoder, embeddings, gallery.degrees[gallery.nearest(embeddings, STARTS)[0]])

    neighbours, temperature = softmax
    average = f"gallery, softmax of {neighbours} (temperature {temperature:g})"
    return {
        "gallery, nearest": gallery.answer,
        average: lambda embeddings: gallery.softmax_answer(embeddings, *softmax),
        "gallery, nearest + descent": lambda embeddings: descend(encoder, embeddings, gallery.answer(embeddings)),
        f"gallery, {STARTS} nearest + descent": neighbours_first,
    }


def trained(decoder: LocationDecoder, encoder: LocationEncoder | None) -> dict[str, Answerer]:
    """Returns functions from embeddings to degrees by name that use a trained decoder.

    Args:
        decoder: trained.
        encoder: encoder to descend through; None for the decoder alone.
    """
    alone = partial(answer, decoder)
    if encoder is None:
        return {TRAINED: alone}
    return {TRAINED: alone, f"{TRAINED} + descent": lambda given: descend(encoder, given, alone(given))}


def measure(
    answerer: Answerer, embeddings: torch.Tensor, truth: torch.Tensor, radii: Sequence[float], earth: str = "sphere"
) -> tuple[dict[str, float], torch.Tensor, np.ndarray]:
    """Measures a way from embeddings to positions.

    Args:
        answerer: the way.
        embeddings: embeddings of test positions, float32 (n, d).
        truth: their latitudes and longitudes in degrees, float64 (n, 2).
        radii: kilometres.
        earth: one of metrics.geodesic.EARTHS.

    Returns:
        Figures by name, among them the processor time of a position; the answers, (n, 2); their errors in km, (n,).
    """
    start = time.process_time()
    degrees = answerer(embeddings)
    spent = time.process_time() - start
    errors = distances_km(*degrees.numpy().T, *truth.numpy().T, earth=earth)
    figures = geodesic_metrics(errors, radii) | {P95: float(np.quantile(errors, 0.95)), MAX: float(errors.max())}
    return figures | {SPEED: 1000 * spent / len(errors)}, degrees, errors
