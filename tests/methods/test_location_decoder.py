"""The method alone; tests/test_location_decoder.py trains with train.py."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from commons.errors import ArgumentError
from commons.sphere import haversine_km
from commons.sphere_tensors import unit_vectors
from datasets.places import Places, make_places
from methods.location_decoder import LocationDecoding
from model.location.decoder import LocationDecoder
from tasks.location_answers import answer
from training.optimizers import build_optimizer


def world(number: int = 2000, seed: int = 0) -> tuple[np.ndarray, torch.Tensor]:
    """Positions of a region across the antimeridian, and sines of them as embeddings."""
    draw = np.random.default_rng(seed)
    degrees = np.stack([draw.uniform(-20, -10, number), (draw.uniform(175, 185, number) + 180) % 360 - 180], axis=1)
    waves = np.random.default_rng(9).normal(size=(2, 16))
    angles = (np.stack([degrees[:, 0], degrees[:, 1] % 360 - 180], axis=1) / 5) @ waves
    return degrees, torch.tensor(np.concatenate([np.sin(angles), np.cos(angles)], axis=1)).float()


def places(degrees: np.ndarray) -> Places:
    names = pa.nulls(len(degrees), pa.string()).fill_null("")
    return make_places(".", names, latitude=degrees[:, 0], longitude=degrees[:, 1])


def error(decoder: LocationDecoder) -> float:
    degrees, embeddings = world(500, seed=1)
    return float(haversine_km(*answer(decoder, embeddings).numpy().T, *degrees.T).mean())


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["chord", "angle"])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_decoder_learns_positions_across_the_antimeridian(loss: str, optimizer: str):
    torch.manual_seed(0)
    (degrees, embeddings), decoder = world(), LocationDecoder(32, (64, 32))
    decoder.set_region(unit_vectors(torch.from_numpy(degrees)))
    method = LocationDecoding(places(degrees), distance=loss)
    updates, before = build_optimizer(decoder, optimizer, 1e-2), error(decoder)
    sampler = method.sampler(200, 200, seed=0)
    for iteration, draws in enumerate(sampler):
        rows = torch.tensor([draw.row for draw in draws])
        for group in updates.param_groups:
            group["lr"] = 1e-2 * (1 - iteration / 200)
        updates.zero_grad()
        method.loss(decoder.train()(embeddings[rows]), torch.tensor([draw.label for draw in draws])).backward()
        updates.step()
    assert before > 300 and error(decoder) < 25  # the region is 1,100 km wide


def test_the_loss_compares_with_the_positions_of_the_labels():
    method = LocationDecoding(places(np.array([[0.0, 0.0], [0.0, 90.0], [90.0, 0.0]])))
    found = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0]])
    assert float(method.loss(found, torch.tensor([1, 2]))) == pytest.approx((0 + 2) / 2)
    angle = LocationDecoding(places(np.array([[0.0, 0.0]])), distance="angle")
    assert float(angle.loss(found[:1], torch.tensor([0]))) == pytest.approx(np.pi / 2)


def test_wrong_losses():
    with pytest.raises(ArgumentError, match=r"distance=cord is unknown \(did you mean chord\?\)"):
        LocationDecoding.check(8, distance="cord")
    with pytest.raises(ArgumentError, match="9 cannot be shared by 2 processes"):
        LocationDecoding.check(9, 2)
