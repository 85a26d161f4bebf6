import numpy as np
import pytest
import torch

from cells.base import Points
from methods.location_answers import TRAINED, answerers, choose_softmax, errors_km, measure
from model.location.building import build_location_encoder
from model.location.decoder import LocationDecoder
from model.location.encoder import encode
from model.location.gallery import Gallery


def square(count: int, seed: int) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).uniform(40, 50, (count, 2)))


def points(degrees: torch.Tensor) -> Points:
    return Points(*degrees.numpy().T)


@pytest.fixture
def parts() -> tuple[LocationDecoder, Gallery, torch.nn.Module]:
    encoder = build_location_encoder("spherical_harmonics", {"legendre": 12, "width": 64, "dim": 32}, seed=0).freeze()
    return LocationDecoder(32), Gallery(square(400, 0), encode(encoder, square(400, 0))), encoder


def test_descent_is_better_than_its_start_and_every_decoder_answers(parts: tuple):
    decoder, gallery, encoder = parts
    truth = square(60, 1)
    wanted = encode(encoder, truth)
    softmax = choose_softmax(gallery, encode(encoder, square(50, 2)), points(square(50, 2)))
    found = {
        name: measure(name, function, wanted, points(truth), 3.0)
        for name, function in answerers(decoder, gallery, encoder, softmax, descent=True).items()
    }
    # The nearest of 400 positions in a square of 1,000 km lies about 20 km away.
    assert found["gallery, nearest"].mean_km == pytest.approx(20, rel=0.3)
    assert found["gallery, nearest + descent"].mean_km < 0.5
    assert found["gallery, 4 nearest + descent"].median_km < 0.5
    (averaged,) = (row for name, row in found.items() if "softmax" in name)
    assert averaged.mean_km < found["gallery, nearest"].mean_km
    assert found[TRAINED].mean_km > 1000  # it was not trained
    assert len(found) == 6 and all(row.seconds_before == 3 and row.ms_per_position > 0 for row in found.values())
    assert len(answerers(decoder, gallery, encoder, softmax, descent=False)) == 3


def test_a_row_by_hand():
    degrees = torch.zeros(100, 2, dtype=torch.float64)
    degrees[:, 0] = torch.arange(100) / 100
    row = measure("mine", lambda embeddings: degrees, torch.zeros(100, 4), Points(np.zeros(100), np.zeros(100)), 1.5)
    degree = np.pi * 6371.0088 / 180
    assert (row.decoder, row.seconds_before) == ("mine", 1.5)
    figures = row.mean_km, row.median_km, row.p95_km, row.max_km
    assert figures == pytest.approx([0.495 * degree, 0.495 * degree, 0.9405 * degree, 0.99 * degree])


def test_the_softmax_with_the_least_error_is_chosen(parts: tuple, monkeypatch: pytest.MonkeyPatch):
    _, gallery, _ = parts
    truth = square(5, 3)

    def average(rows: torch.Tensor, similarities: torch.Tensor, temperature: float) -> torch.Tensor:
        return truth + abs(rows.shape[1] - 4) + abs(temperature - 0.1)

    monkeypatch.setattr(gallery, "average", average)
    assert choose_softmax(gallery, torch.zeros(5, 32), points(truth)) == (4, 0.1)
    assert errors_km(truth, points(truth)).max() == 0
