import math

import pytest
import torch
from torch.nn.functional import normalize

from commons.errors import ArgumentError
from losses import CLASSIFICATION, METRIC
from losses.building import make_loss, read_loss
from losses.matryoshka import Matryoshka, check_prefixes
from methods.classes import chosen_loss
from parser import parse_train_settings
from tests.losses.batches import batch, gradients


def test_equals_cosface_of_each_prefix_worked_by_hand():
    """x = (0.6, 0.8): its first dimension, divided by its length, is 1. Classes e1 and (1, 1): their first one is 1."""
    loss = make_loss("cosface", {"s": 30.0, "m": 0.4}, "none", {}, [1])(2, 2)
    loss.loss.W.data = torch.tensor([[2.0, 5.0], [0.0, 5.0]])  # columns are classes; their length must not matter
    whole = -math.log(math.exp(30 * 0.2) / (math.exp(30 * 0.2) + math.exp(30 * 1.4 / math.sqrt(2))))
    first = -math.log(math.exp(30 * 0.6) / (math.exp(30 * 0.6) + math.exp(30)))
    value = loss(torch.tensor([[0.6, 0.8]]), torch.tensor([0]))
    assert value.item() == pytest.approx((whole + first) / 2, rel=1e-5)


@pytest.mark.parametrize("name", [*CLASSIFICATION, *METRIC])
def test_is_the_mean_of_losses_of_cut_descriptors_and_classifiers(name: str):
    x, labels = batch(dim=6)
    own = read_loss(name, {}, "auto", {})
    torch.manual_seed(0)
    loss, plain = make_loss(name, *own, (2, 3)), make_loss(name, *own)
    if name in CLASSIFICATION:
        torch.manual_seed(0)
        loss = loss(4, 6).double()
        cut = [plain(4, dim).double() for dim in (2, 3, 6)]
        for each in cut:
            each.W.data = loss.loss.W.detach()[: each.W.shape[0]].clone()
    else:
        cut = [plain] * 3
    parts = normalize(x[:, :2], dim=1), normalize(x[:, :3], dim=1), x
    expected = sum(each(part, labels) for each, part in zip(cut, parts, strict=True)) / 3
    found = loss(x, labels)
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)
    if name in CLASSIFICATION:
        rows = torch.autograd.grad(expected, [each.W for each in cut], retain_graph=True)
        (shared,) = torch.autograd.grad(found, list(loss.parameters()), retain_graph=True)
        assert torch.allclose(shared[:2], sum(own[:2] for own in rows), atol=1e-9)
        assert torch.allclose(shared[3:], rows[-1][3:], atol=1e-9)
    assert torch.allclose(gradients(found, x), gradients(expected, x), atol=1e-9)


def test_a_miner_chooses_the_pairs_of_each_prefix():
    seen = []

    def miner(descriptors: torch.Tensor, labels: torch.Tensor) -> None:
        seen.append((descriptors.shape[1], descriptors.norm(dim=1)))

    loss = make_loss("contrastive", {}, "none", {}, (2, 4))
    loss.loss.miner = miner
    loss(*batch(dim=6))
    assert [dim for dim, _ in seen] == [6, 2, 4]
    assert all(torch.allclose(lengths, torch.ones_like(lengths)) for _, lengths in seen)


def test_without_prefixes_the_loss_is_the_one_of_before():
    assert not isinstance(make_loss("cosface", {}, "none", {})(2, 3), Matryoshka)
    assert not isinstance(make_loss("contrastive", {}, "none", {}), Matryoshka)


def test_starts_from_the_same_weights():
    torch.manual_seed(0)
    plain = make_loss("cosface", {}, "none", {})(5, 6)
    torch.manual_seed(0)
    assert torch.equal(make_loss("cosface", {}, "none", {}, (2,))(5, 6).loss.W, plain.W)


def test_prefixes_are_shorter_than_the_descriptor():
    check_prefixes([64, 511], 512)
    check_prefixes([], 512)
    with pytest.raises(ArgumentError, match="512 must be below the 512 dimensions of the descriptor"):
        check_prefixes([64, 512], 512)


@pytest.mark.parametrize("method", ["cosplace", "gsv"])
def test_the_dimension_of_a_given_network_is_checked_when_the_loss_is_built(method: str):
    flags = ["--dataset_folder", "x", "--method", method, "--matryoshka", "64,256"]
    settings = parse_train_settings(flags).method
    loss = chosen_loss(settings, 512)
    assert (loss(4, 512) if method == "cosplace" else loss).prefixes == (64, 256)
    with pytest.raises(ArgumentError, match="256 must be below the 256 dimensions"):
        chosen_loss(settings, 256)
