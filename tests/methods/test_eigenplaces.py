from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from commons.errors import UsageError
from datasets.grouping import make_groups
from datasets.places import Places, make_places
from losses import CLASSIFICATION
from methods import METHODS

CPU = torch.device("cpu")
X = torch.nn.functional.normalize(torch.randn(8, 5, generator=torch.Generator().manual_seed(0)), dim=1)


def street(folder: Path, cells: int = 8, size: tuple[int, int] = (32, 32)) -> Places:
    """Cells of 15 m along a street, three positions with four crops each; the first image is there."""
    at = np.array([(15 * cell + 3 + 4 * step, 7) for cell in range(cells) for step in range(3)], float)
    xy, headings = np.repeat(at, 4, axis=0), np.tile(np.arange(0, 360, 90.0), len(at))
    names = pa.array([f"{number}.jpg" for number in range(len(xy))])
    Image.new("RGB", size).save(folder / "0.jpg")
    return make_places(folder, names, xy[:, 0] + 15_000, xy[:, 1] + 15_000, np.full(len(xy), 10), heading=headings)


def make(places: Places, N: int = 2, **options: float) -> object:
    torch.manual_seed(0)
    groups = make_groups(places, M=15, alpha=360, N=N, L=1, groups_num=0, min_images_per_class=3)
    loss = partial(CLASSIFICATION["cosface"], s=10.0)
    options = {"tolerance": 45.0} | options
    return METHODS["eigenplaces"](
        groups=groups,
        loss=loss,
        descriptor_dim=5,
        classifiers_lr=0.01,
        places=places,
        min_images_per_class=3,
        **options,
    )


def test_every_cell_gives_a_lateral_and_a_frontal_class(tmp_path: Path):
    places = street(tmp_path)
    method = make(places)
    pairs = [method.begin_epoch(epoch, CPU) for epoch in range(2)]
    assert [[len(group) for group in pair] for pair in pairs] == [[4, 4], [4, 4]]
    for lateral, frontal in pairs:
        assert set(places.heading[lateral.images]) == {0.0}
        assert set(places.heading[frontal.images]) == {90.0}
        assert (np.diff(lateral.offsets) == 3).all() and (np.diff(frontal.offsets) == 3).all()


def test_loss_is_the_weighted_sum_of_both_sides(tmp_path: Path):
    method = make(street(tmp_path), lambda_lat=0.5, lambda_front=2.0)
    method.begin_epoch(1, CPU)
    lateral, frontal = method.classifiers[1]
    labels = torch.tensor([0, 5, 3, 7, 1, 4, 2, 6])
    mine = labels < 4
    expected = 0.5 * lateral(X[mine], labels[mine]) + 2 * frontal(X[~mine], labels[~mine] - 4)
    assert method.loss(X, labels).item() == pytest.approx(expected.item(), abs=1e-6)
    only_lateral = method.loss(X[mine], labels[mine])
    assert only_lateral.item() == pytest.approx(0.5 * lateral(X[mine], labels[mine]).item())
    only_lateral.backward()
    assert (frontal.W.grad == 0).all() and (lateral.W.grad != 0).any()


def step(method, epoch: int) -> torch.Tensor:
    method.begin_epoch(epoch, CPU)
    (optimizer,) = method.optimizers
    optimizer.zero_grad()
    loss = method.loss(X, torch.arange(8))
    loss.backward()
    optimizer.step()
    method.end_epoch()
    return loss.detach()


def test_both_classifiers_of_the_current_group_learn_and_the_state_continues_exactly(tmp_path: Path):
    first, second = make(street(tmp_path)), make(street(tmp_path))
    before = [parameter.detach().clone() for pair in first.classifiers for parameter in pair.parameters()]
    step(first, 0)
    after = [parameter for pair in first.classifiers for parameter in pair.parameters()]
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [False, False, True, True]
    step(first, 1)
    second.load_state_dict(deepcopy(first.state_dict()))
    for epoch in (2, 3):
        assert torch.equal(step(first, epoch), step(second, epoch))


def test_batches_are_half_lateral_and_half_frontal(tmp_path: Path):
    places = street(tmp_path)
    method = make(places)
    sampler = method.sampler(4, 6, 0)
    sampler.set_epoch(method.begin_epoch(0, CPU), 0)
    for batch in sampler:
        assert [draw.label >= 4 for draw in batch] == [False, False, True, True]
        assert not any(draw.around for draw in batch)


def test_panoramas_are_recognised_and_give_every_image(tmp_path: Path):
    method = make(street(tmp_path, size=(208, 32)))
    lateral, frontal = method.begin_epoch(0, CPU)
    assert len(lateral.images) == len(frontal.images) == 48
    sampler = method.sampler(4, 2, 0)
    sampler.set_epoch((lateral, frontal), 0)
    assert all(draw.around for batch in sampler for draw in batch)


def test_mistakes_name_the_way_out(tmp_path: Path):
    places = street(tmp_path)
    with pytest.raises(UsageError, match="no cell has 3 lateral views within 1 degrees; lower --min_images"):
        make(places, tolerance=1.0)
    with pytest.raises(UsageError, match="`batch_size`: .* 4 classes, too few for half of .* 10: lower it to 8"):
        make(places).sampler(10, 5, 0)
