import numpy as np
import pytest
import torch

from model.location.building import build_location_encoder
from model.location.decoder import LocationDecoder
from model.location.encoder import encode
from model.location.gallery import Gallery
from tasks.location_answers import SPEED, TRAINED, choose_softmax, measure, trained, without_training


def square(count: int, seed: int) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).uniform(40, 50, (count, 2)))


@pytest.fixture
def parts() -> tuple[LocationDecoder, Gallery, torch.nn.Module]:
    encoder = build_location_encoder("spherical_harmonics", {"legendre": 12, "width": 64, "dim": 32}, seed=0).freeze()
    torch.manual_seed(0)  # a descent from other starts may end farther away
    return LocationDecoder(32), Gallery(square(400, 0), encode(encoder, square(400, 0))), encoder


def test_descent_is_better_than_its_start_and_every_way_answers(parts: tuple):
    decoder, gallery, encoder = parts
    truth = square(60, 1)
    wanted = encode(encoder, truth)
    softmax = choose_softmax(gallery, encode(encoder, square(50, 2)), square(50, 2))
    ways = trained(decoder, encoder) | without_training(gallery, encoder, softmax)
    found = {name: measure(way, wanted, truth, (25,))[0] for name, way in ways.items()}
    # The nearest of 400 positions in a square of 1,000 km lies about 20 km away.
    assert found["gallery, nearest"]["mean km"] == pytest.approx(20, rel=0.3)
    assert found["gallery, nearest + descent"]["mean km"] < 0.5
    assert found["gallery, 4 nearest + descent"]["median km"] < 0.5
    (averaged,) = (row for name, row in found.items() if "softmax" in name)
    assert averaged["mean km"] < found["gallery, nearest"]["mean km"]
    assert found[TRAINED]["mean km"] > 1000  # it was not trained
    assert found[f"{TRAINED} + descent"]["mean km"] < found[TRAINED]["mean km"]
    assert len(found) == 6 and all(row[SPEED] > 0 for row in found.values())
    assert trained(decoder, None).keys() == {TRAINED}


def test_figures_by_hand():
    degrees = torch.zeros(100, 2, dtype=torch.float64)
    degrees[:, 0] = torch.arange(100) / 100
    figures, found, errors = measure(lambda embeddings: degrees, torch.zeros(100, 4), torch.zeros(100, 2), (25.0,))
    degree = np.pi * 6371.0088 / 180
    values = [figures[name] for name in ("mean km", "median km", "95 % km", "max km", "within 25 km")]
    assert values == pytest.approx([0.495 * degree, 0.495 * degree, 0.9405 * degree, 0.99 * degree, 23])
    assert found is degrees and errors[10] == pytest.approx(0.1 * degree)


def test_the_softmax_with_the_least_error_is_chosen(parts: tuple, monkeypatch: pytest.MonkeyPatch):
    _, gallery, _ = parts
    truth = square(5, 3)

    def average(rows: torch.Tensor, similarities: torch.Tensor, temperature: float) -> torch.Tensor:
        return truth + abs(rows.shape[1] - 4) + abs(temperature - 0.1)

    monkeypatch.setattr(gallery, "average", average)
    assert choose_softmax(gallery, torch.zeros(5, 32), truth) == (4, 0.1)
