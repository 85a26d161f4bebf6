"""Everything that all losses over cells have in common, and their weighted sum."""

import math
from copy import deepcopy

import pytest
import torch

from commons.errors import ArgumentError
from commons.options import options_of
from commons.sphere_tensors import unit_vectors
from losses.geolocation import CELL_LOSSES
from losses.geolocation.building import cell_loss_help, make_cell_loss, read_cell_losses
from losses.geolocation.geometry import CellGeometry, CellOutputs, CellTruth, distances_km
from tests.losses.geolocation.examples import DEGREE_KM, LINE, outputs, truth


@pytest.mark.parametrize("name", CELL_LOSSES)
def test_everything_describes_itself(name: str):
    text = cell_loss_help(name)
    assert "https://" in text
    for key, option in options_of(CELL_LOSSES[name]).items():
        assert option.kind is type(option.default) and f"  {key}={option.default} " in text


@pytest.mark.parametrize("name", CELL_LOSSES)
@pytest.mark.parametrize("case", ["usual", "certain", "wrong", "bfloat16", "no photo counts"])
def test_losses_and_gradients_are_finite(name: str, case: str):
    draw = torch.Generator().manual_seed(0)
    scale = {"certain": 200.0, "wrong": -200.0}.get(case, 1.0)
    cells = torch.tensor([[0, 0], [0, 1], [1, 2], [1, 3]])
    logits = torch.randn(4, 4, generator=draw) + scale * torch.eye(4)
    found = CellOutputs(
        logits.to(torch.bfloat16 if case == "bfloat16" else torch.float32).requires_grad_(),
        (torch.randn(4, 2, generator=draw).requires_grad_(),),
        torch.randn(4, 4, 2, generator=draw).requires_grad_(),
    )
    if case == "no photo counts":
        where = CellTruth(torch.full((4,), math.nan), torch.full((4,), math.nan), torch.full_like(cells, -1))
    else:
        where = CellTruth(torch.tensor([0.0, 0, 0, 0]), torch.tensor([0.0, 1.1, 2, 4]), cells)
    loss = CELL_LOSSES[name](LINE)(found, where)
    assert loss.isfinite() and (loss == 0 or case != "no photo counts")
    loss.backward()
    for part in (found.logits, *found.coarse, found.offsets):
        assert part.grad is None or part.grad.isfinite().all()


@pytest.mark.parametrize("name", sorted(set(CELL_LOSSES) - {"multi_head", "hierarchical"}))
def test_photos_in_no_cell_or_without_a_position_do_not_count(name: str):
    loss = CELL_LOSSES[name](LINE)
    both = outputs([[0.3, 0.2, 0.4, 0.1], [0.7, 0.1, 0.1, 0.1]])
    where = truth([1.0, math.nan], [[0, 1], [-1, -1]])
    alone = loss(both.take(torch.tensor([0])), where.take(torch.tensor([0])))
    assert loss(both, where).item() == pytest.approx(alone.item())


@pytest.mark.parametrize("name", CELL_LOSSES)
def test_learning_finds_the_cell(name: str):
    torch.manual_seed(0)
    weights = {name: 1.0} if name != "expected_distance" else {name: 1.0, "cross_entropy": 1.0}
    loss = make_cell_loss(LINE, weights)
    where = truth([0.0, 1.0, 2.0, 4.0], [[0, 0], [0, 1], [1, 2], [1, 3]])
    logits, coarse = torch.zeros(4, 4, requires_grad=True), torch.zeros(4, 2, requires_grad=True)
    offsets = torch.full((4, 4, 2), 0.5, requires_grad=True)
    optimizer = torch.optim.Adam([logits, coarse, offsets], lr=0.1)
    first = None
    for _ in range(60):
        optimizer.zero_grad()
        value = loss(CellOutputs(logits, (coarse,), offsets), where)
        first = value.item() if first is None else first
        value.backward()
        optimizer.step()
    assert value.item() < 0.9 * first
    if name != "offset":
        assert logits.argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_distances_are_right_to_metres_in_float32():
    """A metre of latitude is 1 / 111195 of a degree."""
    start = unit_vectors(torch.tensor([[55.0, 12.0]], dtype=torch.float64))
    latitude = torch.tensor([55 + 0.01 / DEGREE_KM, 56, -55]).double()
    near = unit_vectors(torch.stack([latitude, torch.tensor([12.0, 12, -168]).double()], dim=1))
    found = distances_km(start.float(), near.float())[0].tolist()
    assert found[0] == pytest.approx(0.01, abs=2e-3)
    assert found[1:] == pytest.approx([DEGREE_KM, 180 * DEGREE_KM], rel=1e-3)


def test_the_geometry_follows_the_network():
    loss = make_cell_loss(deepcopy(LINE), {"haversine": 1.0}).to("meta")
    assert loss.members["haversine"].geometry.vectors.device.type == "meta"
    assert list(CellGeometry([0.0], [0.0], [[1.0, 1.0]], [[0]]).parameters()) == []


def test_a_weighted_sum():
    weights, options = read_cell_losses(["cross_entropy", "haversine=0.5"], {"haversine.tau": "50"})
    assert weights == {"cross_entropy": 1, "haversine": 0.5}
    assert options == {"cross_entropy": {"smoothing": 0.0}, "haversine": {
        "tau": 50.0, "normalise": True, "nearest": False}}  # fmt: skip
    loss = make_cell_loss(LINE, weights, options)
    found, where = outputs([[0.3, 0.2, 0.4, 0.1]]), truth([1.0], [[0, 1]])
    parts = loss.parts(found, where)
    assert parts["cross_entropy"].item() == pytest.approx(-math.log(0.2))
    assert loss(found, where).item() == pytest.approx((parts["cross_entropy"] + 0.5 * parts["haversine"]).item())


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        ([], {}, "`cell_loss`: contains no loss; choose from cross_entropy, "),
        (["haversin"], {}, "`cell_loss`: haversin is unknown .*did you mean haversine"),
        (["haversine", "haversine=2"], {}, "haversine is given twice"),
        (["haversine=0"], {}, "`cell_loss`: haversine=0: the weight of haversine must be a number above 0"),
        (["haversine=x"], {}, "must be a number above 0"),
        (["haversine"], {"haversine.tau": "0"}, "`cell_loss_options`: tau=0 must be above 0"),
        (["haversine"], {"haversine.normalise": "2"}, "normalise=2 is not true or false"),
        (["haversine"], {"offset.span": "1"}, "offset is not in `cell_loss` haversine"),
        (["cross_entropy"], {"cross_entropy.smoothing": "1.5"}, "`cell_loss_options`: smoothing=1.5 must be between"),
        (["expected_distance"], {"expected_distance.scale_km": "0"}, "scale_km=0 must be above 0"),
        (["multi_head"], {"multi_head.ratio": "0"}, "ratio=0 must be above 0"),
        (["offset"], {"offset.span": "0"}, "span=0 and least_km=0.1 must be above 0"),
    ],
)
def test_mistakes(given: list[str], options: dict[str, str], words: str):
    with pytest.raises(ArgumentError, match=words):
        read_cell_losses(given, options)
