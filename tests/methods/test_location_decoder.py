import time
from itertools import count

import numpy as np
import pytest
import torch

from commons.errors import ArgumentError
from commons.sphere import haversine_km
from methods.location_answers import answer
from methods.location_decoder import DecoderRecipe, DecoderTraining
from model.location.decoder import LocationDecoder


def world(number: int = 2000, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions of a region across the antimeridian, and sines of them as embeddings."""
    draw = np.random.default_rng(seed)
    degrees = np.stack([draw.uniform(-20, -10, number), (draw.uniform(175, 185, number) + 180) % 360 - 180], axis=1)
    waves = np.random.default_rng(9).normal(size=(2, 16))
    angles = (np.stack([degrees[:, 0], degrees[:, 1] % 360 - 180], axis=1) / 5) @ waves
    return torch.tensor(degrees), torch.tensor(np.concatenate([np.sin(angles), np.cos(angles)], axis=1)).float()


def training(recipe: DecoderRecipe, seed: int = 0) -> DecoderTraining:
    torch.manual_seed(seed)
    return DecoderTraining(LocationDecoder(32, (64, 32)), *world(), recipe)


def error(decoder: LocationDecoder) -> float:
    degrees, embeddings = world(500, seed=1)
    return float(haversine_km(*answer(decoder, embeddings).numpy().T, *degrees.numpy().T).mean())


@pytest.mark.parametrize("loss", ["chord", "angle"])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_decoder_learns_positions_across_the_antimeridian(loss: str, optimizer: str):
    recipe = DecoderRecipe(iterations=200, batch_size=200, loss=loss, optimizer=optimizer, lr=1e-2)
    trained = training(recipe)
    before = error(trained.decoder)
    trained.train()
    assert trained.iteration == 200 and not trained.decoder.training
    assert before > 300 and error(trained.decoder) < 25  # the region is 1,100 km wide


def test_a_continued_training_ends_with_the_same_bits():
    recipe = DecoderRecipe(iterations=25, batch_size=300)
    whole, first, second = training(recipe), training(recipe), training(recipe, seed=5)
    whole.train()
    first.train(pause=lambda: first.iteration >= 9, every=0)
    assert first.iteration == 9
    second.load_state_dict(first.state_dict())
    second.train()
    for name, value in whole.decoder.state_dict().items():
        assert torch.equal(value, second.decoder.state_dict()[name]), name


def test_an_epoch_takes_each_position_once():
    own = training(DecoderRecipe(iterations=100, batch_size=500))
    epochs = []
    for _ in range(2):
        batches = []
        for _ in range(4):
            batches.append(own._rows())
            own.iteration += 1
        epochs.append(torch.cat(batches))
    assert sorted(epochs[0].tolist()) == sorted(epochs[1].tolist()) == list(range(2000))
    assert not torch.equal(*epochs)


def test_the_time_of_a_training_is_kept_over_a_pause(monkeypatch: pytest.MonkeyPatch):
    """A clock that goes on by 0.1 s whenever it is read."""
    ticks = count()
    monkeypatch.setattr(time, "process_time", lambda: next(ticks) / 10)
    recipe = DecoderRecipe(seconds=0.95, batch_size=100)
    first, second = training(recipe), training(recipe)
    first.train(pause=lambda: first.seconds > 0.55, every=0)
    assert first.iteration == 6 and first.seconds == pytest.approx(0.6)
    second.load_state_dict(first.state_dict())
    second.train()
    assert second.iteration == 10 and second.seconds == pytest.approx(1.0) and second.progress == 1


def test_the_learning_rate_follows_the_schedule():
    own = training(DecoderRecipe(iterations=10, batch_size=100, scheduler="cosine", lr=0.5, optimizer="sgd"))
    rates = []
    own.train(pause=lambda: rates.append(own.optimizer.param_groups[0]["lr"]), every=0)
    assert rates == pytest.approx([0.25 * (1 + np.cos(np.pi * step / 10)) for step in range(10)])


def test_wrong_recipes():
    with pytest.raises(ArgumentError, match=r"`loss`: cord is unknown \(did you mean chord\?\)"):
        DecoderRecipe(loss="cord")
    with pytest.raises(ArgumentError, match="`seconds`: 0 is not above 0"):
        DecoderRecipe(seconds=0)
