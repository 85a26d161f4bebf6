"""All ways from location embeddings to positions, and how far from the truth they lead."""

import time
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
import torch

from cells.base import Points
from commons.sphere import haversine_km
from commons.sphere_tensors import to_degrees
from model.location.decoder import LocationDecoder
from model.location.descent import descend
from model.location.encoder import LocationEncoder
from model.location.gallery import Gallery

NEIGHBOURS, TEMPERATURES = (2, 4, 8), (0.02, 0.05, 0.1, 0.2)
STARTS = 4  # nearest positions from which a descent starts

TRAINED = "trained network"

Answerer = Callable[[torch.Tensor], torch.Tensor]


class Measured(NamedTuple):
    """A row of the table: errors in kilometres, and processor time."""

    decoder: str
    mean_km: float
    median_km: float
    p95_km: float
    max_km: float
    ms_per_position: float
    seconds_before: float


def errors_km(degrees: torch.Tensor, truth: Points) -> np.ndarray:
    """Returns great-circle distances, (n,), of answers in degrees, (n, 2)."""
    return haversine_km(*degrees.numpy().T, *truth)


@torch.no_grad()
def answer(decoder: LocationDecoder, embeddings: torch.Tensor) -> torch.Tensor:
    """Returns the answers of a trained decoder, degrees, float64 (n, 2) on the CPU, and leaves it in mode eval."""
    decoder.eval()
    return to_degrees(decoder(embeddings.to(decoder.frame.device)).double()).cpu()


def choose_softmax(gallery: Gallery, embeddings: torch.Tensor, truth: Points) -> tuple[int, float]:
    """Returns the number of neighbours and the temperature with the least mean error on validation positions."""
    rows, similarities = gallery.nearest(embeddings, max(NEIGHBOURS))
    pairs = list(product(NEIGHBOURS, TEMPERATURES))
    errors = [errors_km(gallery.average(rows[:, :k], similarities[:, :k], t), truth).mean() for k, t in pairs]
    return pairs[int(np.argmin(errors))]


def answerers(
    decoder: LocationDecoder, gallery: Gallery, encoder: LocationEncoder, softmax: tuple[int, float], descent: bool
) -> dict[str, Answerer]:
    """Returns functions from embeddings, float32 (n, d), to degrees, float64 (n, 2), by name.

    Args:
        decoder: trained.
        gallery: positions with embeddings.
        encoder: that both belong to.
        softmax: neighbours and temperature.
        descent: whether to include those that descend through the encoder.
    """
    trained = partial(answer, decoder)

    def neighbours_first(embeddings: torch.Tensor) -> torch.Tensor:
        return descend(encoder, embeddings, gallery.degrees[gallery.nearest(embeddings, STARTS)[0]])

    neighbours, temperature = softmax
    found: dict[str, Answerer] = {
        TRAINED: trained,
        "gallery, nearest": gallery.answer,
        f"gallery, softmax of {neighbours} (temperature {temperature:g})": lambda embeddings: gallery.softmax_answer(
            embeddings, *softmax
        ),
    }
    if descent:
        found[f"{TRAINED} + descent"] = lambda embeddings: descend(encoder, embeddings, trained(embeddings))
        found["gallery, nearest + descent"] = lambda embeddings: descend(
            encoder, embeddings, gallery.answer(embeddings)
        )
        found[f"gallery, {STARTS} nearest + descent"] = neighbours_first
    return found


def measure(name: str, answer: Answerer, embeddings: torch.Tensor, truth: Points, seconds_before: float) -> Measured:
    """Returns the row of a decoder on test positions."""
    start = time.process_time()
    degrees = answer(embeddings)
    spent = time.process_time() - start
    errors = errors_km(degrees, truth)
    figures = errors.mean(), np.median(errors), np.quantile(errors, 0.95), errors.max()
    return Measured(name, *map(float, figures), 1000 * spent / len(errors), seconds_before)
