"""Additional losses and adaptations, with a stream of target images that needs no files."""

import copy
import types

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from losses.self_supervised.vicreg import VICReg
from training.adaptation.coral import Coral
from training.adaptation.gradient_reversal import GradientReversal
from training.adaptation.histogram import HistogramMatching
from training.extras import Extras

CPU = torch.device("cpu")


class Targets:
    """Flat images of growing brightness."""

    def __init__(self, images: int = 4) -> None:
        self.sampler, self.drawn, self.begun = types.SimpleNamespace(images=images), 0, None

    def begin_epoch(self, epoch: int, start: int) -> None:
        self.begun = (epoch, start)

    def __next__(self) -> torch.Tensor:
        self.drawn += 1
        return torch.full((4, 3, 8, 8), 100 + self.drawn, dtype=torch.uint8)


def augment(images: torch.Tensor) -> torch.Tensor:
    return images / 255 + torch.rand(len(images), 1, 1, 1)


def make(*names: str, image_adaptations: list[nn.Module] | None = None, targets: Targets | None = None) -> Extras:
    torch.manual_seed(0)
    kinds = {"vicreg": lambda: VICReg(6, width=8), "gradient_reversal": lambda: GradientReversal(6, hidden=8)}
    losses = {name: kinds.get(name, lambda: Coral(6))() for name in names}
    weights = {name: 2.0 + number for number, name in enumerate(names)}
    views = "vicreg" if "vicreg" in names else None
    return Extras(losses, weights, views, image_adaptations or [], targets, 1e-2, CPU)


def unit(count: int) -> torch.Tensor:
    return F.normalize(torch.randn(count, 6), dim=1)


def test_nothing_beside_a_method_changes_nothing():
    extras = make()
    images = torch.randint(0, 255, (4, 3, 8, 8), dtype=torch.uint8)
    torch.manual_seed(1)
    expected = augment(images)
    torch.manual_seed(1)
    assert torch.equal(extras.images(images, augment), expected)
    assert extras.loss(unit(4), 4, 0.5) == 0
    assert (extras.parameters, extras.optimizers, extras.means(3)) == ([], [], {})


def test_the_network_sees_batch_second_views_and_targets():
    targets = Targets()
    extras = make("vicreg", "coral", targets=targets)
    extras.begin_epoch(3, 5)
    assert targets.begun == (3, 5)
    images = torch.randint(0, 99, (4, 3, 8, 8), dtype=torch.uint8)
    batch, second, others = extras.images(images, augment).split(4)
    drawn = (batch - second).flatten(1)
    assert torch.allclose(drawn, drawn[:, :1].expand_as(drawn), atol=1e-6) and drawn.abs().min() > 1e-3
    assert (others.flatten(1).std(dim=1) < 1e-6).all()
    assert targets.drawn == 1


def test_image_adaptations_change_the_batch_and_need_no_further_images():
    extras = make(image_adaptations=[HistogramMatching()], targets=Targets())
    images = torch.randint(0, 99, (4, 3, 8, 8), dtype=torch.uint8)
    adapted = extras.images(images, lambda given: given.float())
    assert torch.equal(adapted, torch.full((4, 3, 8, 8), 101.0))


def test_the_loss_is_the_weighted_sum_of_what_each_gives_for_its_own_descriptors():
    extras = make("vicreg", "gradient_reversal", "coral", targets=Targets())
    batch, second, target = descriptors = unit(12).split(4)
    parts = [
        extras.losses["vicreg"](batch, second),
        extras.losses["gradient_reversal"](batch, target, 0.3),
        extras.losses["coral"](batch, target, 0.3),
    ]
    expected = 2 * parts[0] + 3 * parts[1] + 4 * parts[2]
    assert extras.loss(torch.cat(descriptors), 4, 0.3).item() == pytest.approx(expected.item(), rel=1e-6)
    extras.loss(torch.cat(descriptors), 4, 0.3)
    means = extras.means(4)
    assert means["coral"] == pytest.approx(parts[2].item() / 2, rel=1e-6)
    extras.begin_epoch(1, 2)
    assert extras.means(4) == means
    extras.begin_epoch(2, 0)
    assert extras.means(4) == {"vicreg": 0, "gradient_reversal": 0, "coral": 0}


def step(extras: Extras) -> None:
    loss = extras.loss(unit(12), 4, 0.5)
    for optimizer in extras.optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in extras.optimizers:
        optimizer.step()


def test_state_goes_on_where_it_was():
    names = ("vicreg", "gradient_reversal")
    whole = make(*names, targets=Targets())
    step(whole)
    state = copy.deepcopy(whole.state_dict())
    torch.manual_seed(5)
    again = make(*names, targets=Targets())
    again.load_state_dict(state)
    for each in (whole, again):
        torch.manual_seed(2)
        step(each)
    assert again.means(1) == whole.means(1)
    assert len(again.parameters) > 0
    assert all(torch.equal(a, b) for a, b in zip(again.parameters, whole.parameters, strict=True))
    with pytest.raises(ValueError, match="4 target images, now there are 3"):
        make(*names, targets=Targets(3)).load_state_dict(state)
