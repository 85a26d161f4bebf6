import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from commons.errors import ArgumentError
from commons.options import help_text, options_of
from losses import CROSS_VIEW
from losses.cross_view import infonce, pairs_apart, soft_margin


def towers(batch: int = 7, seed: int = 0, near: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    street = torch.randn(batch, 5, generator=generator, dtype=torch.float64)
    aerial = street + near * torch.randn(batch, 5, generator=generator, dtype=torch.float64)
    return normalize(street, dim=1).requires_grad_(), normalize(aerial, dim=1)


def mask(batch: int = 7) -> torch.Tensor:
    apart = torch.ones(batch, batch, dtype=torch.bool)
    apart[0, 1] = apart[1, 0] = apart[2, 5] = apart[0, 0] = False
    return apart


def by_formula(street, aerial, apart, temperature: float, smoothing: float, decoupled: bool) -> float:
    cosine, total = (street @ aerial.T).tolist(), 0.0
    b = range(len(cosine))
    for turned in (False, True):
        rows = []
        for i in b:
            s = [(cosine[j][i] if turned else cosine[i][j]) / temperature for j in b]
            others = [j for j in b if j != i and (apart[j][i] if turned else apart[i][j])]
            score = {}
            for j in [i, *others]:
                left = [k for k in [i, *others] if not (decoupled and k == j)]
                score[j] = s[j] - math.log(sum(math.exp(s[k]) for k in left)) if left else 0
            if others:
                mean = sum(score[j] for j in others) / len(others)
                rows.append(-(1 - smoothing) * score[i] - smoothing * mean)
        total += sum(rows) / len(rows) / 2
    return total


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("masked", [False, True])
def test_infonce_equals_the_formula(decoupled: bool, smoothing: float, masked: bool):
    street, aerial = towers()
    apart = mask() if masked else None
    found = infonce(temperature=0.2, smoothing=smoothing, decoupled=decoupled)(street, aerial, apart)
    all_apart = torch.ones(7, 7, dtype=torch.bool) if apart is None else apart
    expected = by_formula(street, aerial, all_apart, 0.2, smoothing, decoupled)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_plain_infonce_is_cross_entropy_both_ways():
    street, aerial = towers()
    logits = street @ aerial.T / 0.07
    target = torch.arange(7)
    entropy = torch.nn.functional.cross_entropy
    expected = (entropy(logits, target) + entropy(logits.T, target)) / 2
    found = infonce(temperature=0.07, smoothing=0.0, decoupled=False)(street, aerial)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_decoupled_infonce_is_finite_where_pairs_are_certain(smoothing: float):
    """With pairs of cosine 1 and others of -1 at scale 36, the published form gives -inf in float32.

    Its two entries of a row: the pair's denominator holds the negative alone, and the other way round.
    """
    street = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    found = infonce(smoothing=smoothing)(street, street.detach().clone())
    found.backward()
    assert found.item() == pytest.approx(-(1 - smoothing) * 72 + smoothing * 72, rel=1e-5)
    assert street.grad.isfinite().all()


def test_ties_and_gradients():
    for name in CROSS_VIEW:
        street = torch.ones(4, 3).div(3**0.5).requires_grad_()
        loss = CROSS_VIEW[name]()
        value = loss(street, street.detach().clone())
        value.backward()
        assert value.isfinite() and street.grad.isfinite().all()
    assert soft_margin()(street, street).item() == pytest.approx(math.log(2), rel=1e-6)


@pytest.mark.parametrize("decoupled", [False, True])
def test_gradients_are_those_of_differences(decoupled: bool):
    street, aerial = towers()
    loss = infonce(temperature=0.2, decoupled=decoupled).double()
    assert torch.autograd.gradcheck(lambda x: loss(x, aerial, mask()), street)


def test_autocast_changes_nothing():
    street, aerial = (x.detach().float() for x in towers())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = [CROSS_VIEW[name]()(street, aerial) for name in CROSS_VIEW]
    assert inside == [CROSS_VIEW[name]()(street, aerial) for name in CROSS_VIEW]


@pytest.mark.parametrize("name", CROSS_VIEW)
def test_masked_pairs_and_rows_without_negatives_do_not_count(name: str):
    street, aerial = towers()
    loss = CROSS_VIEW[name]()
    apart = torch.ones(7, 7, dtype=torch.bool)
    apart[6] = apart[:, 6] = False
    assert loss(street, aerial, apart).item() == pytest.approx(loss(street[:6], aerial[:6]).item(), rel=1e-5)
    none = loss(street, aerial, torch.zeros(7, 7, dtype=torch.bool))
    none.backward()
    assert none.item() == 0 and (street.grad == 0).all()


def test_soft_margin_equals_the_formula():
    street, aerial = towers()
    apart, cosine, found = mask(), (street @ aerial.T).tolist(), []
    for i in range(7):
        for j in range(7):
            if i != j and apart[i, j]:
                found.append(math.log(1 + math.exp(20 * (cosine[i][j] - cosine[i][i]))))
                found.append(math.log(1 + math.exp(20 * (cosine[i][j] - cosine[j][j]))))
    assert soft_margin()(street, aerial, apart).item() == pytest.approx(sum(found) / len(found), rel=1e-5)


def test_a_learnable_temperature():
    street, aerial = towers()
    loss = infonce(temperature=0.07, learnable=True, decoupled=False)
    assert loss.scale.item() == pytest.approx(1 / 0.07)
    loss(street, aerial).backward()
    assert loss.log_scale.grad.abs() > 0
    loss.log_scale.data.fill_(9.0)
    assert loss.scale.item() == 100
    fixed = infonce()
    fixed(street, aerial).backward()
    assert fixed.log_scale.grad is None and fixed.scale.item() == pytest.approx(36)


@pytest.mark.parametrize("name", CROSS_VIEW)
def test_everything_describes_itself(name: str):
    text = help_text("loss", name, CROSS_VIEW)
    assert "https://" in text and all(f"  {key}=" in text for key in options_of(CROSS_VIEW[name]))


def test_pairs_closer_than_a_cell_are_no_negatives():
    """At 60 degrees north 0.0006 degrees of longitude are 33.4 m, of latitude 66.7 m."""
    latitude, longitude = np.array([60.0, 60.0, 60.0006]), np.array([10.0, 10.0006, 10.0])
    apart = pairs_apart(latitude, longitude, latitude, longitude, 40)
    assert apart.tolist() == [[False, False, True], [False, False, True], [True, True, False]]
    assert pairs_apart(latitude, longitude, latitude, longitude, 30)[0].tolist() == [False, True, True]


def test_wrong_options():
    for make, words in (
        (lambda: infonce(temperature=0), "temperature=0 must be above 0"),
        (lambda: infonce(smoothing=1.5), "smoothing=1.5 must be between 0 and 1"),
        (lambda: soft_margin(alpha=-1), "alpha=-1 must be above 0"),
    ):
        with pytest.raises(ArgumentError, match=words):
            make()
