import math

import numpy as np
import pytest
import torch

from commons.sphere import haversine_km, to_local_km, unit_vectors
from losses.location.contrastive import LocationContrast, add_noise


def encode(degrees: torch.Tensor) -> torch.Tensor:
    """The unit vectors of positions, twice as long."""
    return 2 * torch.tensor(unit_vectors(*degrees.double().numpy().T))


def silent(**options: float) -> LocationContrast:
    return LocationContrast(**{"noise_m": 0.0, "queue_noise_m": 0.0, **options})


def by_formula(images: torch.Tensor, positions: list[list[float]], scale: float) -> float:
    units, places = images.numpy() / np.linalg.norm(images.numpy(), axis=1)[:, None], np.array(positions)
    cosines = units @ unit_vectors(*places.T).T
    return float(np.mean([-scale * row[i] + np.log(np.exp(scale * row).sum()) for i, row in enumerate(cosines)]))


def test_the_formula_with_and_without_a_queue():
    loss = silent(queue=3, temperature=0.1)
    first, second = torch.tensor([[10.0, 20.0], [0.0, -90.0]]), torch.tensor([[50.0, 5.0], [-30.0, 60.0]])
    images = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    assert loss(images, first, encode).item() == pytest.approx(by_formula(images, first.tolist(), 10), rel=1e-5)
    both = by_formula(images, [*second.tolist(), *first.tolist()], 10)
    assert loss(images, second, encode).item() == pytest.approx(both, rel=1e-5)
    # The oldest position has made room for the last one.
    three = by_formula(images, [*first.tolist(), first[1].tolist(), *second.tolist()], 10)
    assert loss(images, first, encode).item() == pytest.approx(three, rel=1e-5)


def test_hard_negatives_count_more_and_their_weights_have_no_gradient():
    degrees = torch.tensor([[10.0, 20.0], [12.0, 22.0], [-60.0, 100.0]])
    images = torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    loss = silent(queue=2, temperature=0.5, hardness=0.7)(images, degrees, encode)
    loss.backward()
    again = images.detach().clone().requires_grad_()
    units = again / again.norm(dim=1, keepdim=True)
    wanted = []
    for row in range(3):
        terms = (2 * units[row] @ torch.tensor(unit_vectors(*degrees.double().numpy().T)).T).exp()
        negatives = torch.cat([terms[:row], terms[row + 1 :]])
        weights = negatives.detach() ** 0.7
        weights = weights / weights.mean()
        assert weights.max() > 1 > weights.min()
        wanted.append(-torch.log(terms[row] / (terms[row] + (weights * negatives).sum())))
    wanted = torch.stack(wanted).mean()
    wanted.backward()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-4)
    assert torch.allclose(images.grad, again.grad, atol=1e-6)


@pytest.mark.parametrize("batches", [[3, 2, 4, 1], [9, 1], [1] * 10])
def test_the_queue_holds_the_last_positions_whatever_the_batches(batches: list[int]):
    loss, number = silent(queue=4), 0
    for size in batches:
        degrees = torch.arange(number, number + size).float()[:, None].repeat(1, 2)
        loss(torch.ones(size, 3), degrees, encode)
        number += size
    assert sorted(loss.queue[:, 0].tolist()) == [6, 7, 8, 9]
    other = silent(queue=4)
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other.queue, loss.queue) and int(other.seen) == 10


def test_the_temperature_is_learned_and_bounded():
    loss = silent(queue=2)
    assert loss.log_scale.exp().item() == pytest.approx(1 / 0.07)
    degrees = torch.tensor([[10.0, 20.0], [0.0, -90.0]])
    right = torch.tensor(unit_vectors(*degrees.double().numpy().T)).float()
    loss(right, degrees, encode).backward()
    assert loss.log_scale.grad < 0  # right answers: colder
    with torch.no_grad():
        loss.log_scale.fill_(9.0)
    swapped = silent(queue=2)
    swapped.log_scale.data.fill_(9.0)
    assert swapped(right.flip(0), degrees, encode).item() == pytest.approx(
        100 * (1 - float(right[0] @ right[1])), rel=1e-4
    )


def test_images_and_encoder_learn():
    linear, images = torch.nn.Linear(2, 3), torch.randn(4, 3, requires_grad=True)
    loss = LocationContrast(queue=8)
    loss(torch.randn(4, 3), torch.rand(4, 2), linear)
    loss(images, torch.rand(4, 2), linear).backward()
    assert images.grad.abs().sum() > 0 and linear.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("place", [(0.0, 0.0), (60.0, 180.0), (89.9, 10.0), (-90.0, 0.0)])
def test_noise_is_as_wide_as_asked_everywhere(place: tuple[float, float]):
    torch.manual_seed(0)
    moved = add_noise(torch.tensor([place]).repeat(4000, 1), 1000.0)
    assert moved.dtype == torch.float32
    km = haversine_km(*moved.double().numpy().T, *place)
    assert np.sqrt((km**2).mean() / 2) == pytest.approx(1, rel=0.03) and np.median(km) == pytest.approx(
        math.sqrt(2 * math.log(2)), rel=0.05
    )
    if abs(place[0]) < 89:
        east, north = to_local_km(*moved.double().numpy().T, *place)
        assert (east.std(), north.std()) == pytest.approx((1, 1), rel=0.05)
    assert torch.equal(add_noise(moved, 0.0), moved) and add_noise(moved[:0], 9.0).shape == (0, 2)
