import numpy as np
import pytest
import torch

from commons.errors import UsageError
from datasets.grouping import Group
from losses.building import make_loss
from methods import METHODS

CPU = torch.device("cpu")


def make(*sizes: int, **options: int) -> object:
    groups = [Group(np.arange(n * 5), np.arange(0, n * 5 + 1, 5), (n, 0, 0)) for n in sizes]
    loss = make_loss("multi_similarity", {}, "none", {})
    return METHODS["gsv"](groups=groups, loss=loss, **options)


def test_batches_hold_several_images_of_every_place():
    method = make(6, 4, images_per_place=3)
    sampler = method.sampler(12, 5, 0)
    sampler.set_epoch(method.begin_epoch(3, CPU), 3)
    for batch in sampler:
        assert np.unique([draw.label for draw in batch], return_counts=True)[1].tolist() == [3, 3, 3, 3]


def test_loss_is_the_metric_loss_and_nothing_else_is_trained():
    method = make(6)
    x = torch.nn.functional.normalize(torch.randn(8, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = torch.arange(8) // 4
    assert torch.equal(method.loss(x, labels), make_loss("multi_similarity", {}, "none", {})(x, labels))
    assert method.parameters == [] and method.optimizers == []


def test_small_groups_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture):
    sampler = make(6, 2, 1).sampler(12, 5, 0)
    assert [len(group) for group in sampler.groups] == [6]
    assert "2 of 3 groups have fewer than 3 places" in caplog.text


def test_state_knows_its_places():
    make(6, 4).load_state_dict(make(6, 4).state_dict())
    with pytest.raises(ValueError):
        make(6, 5).load_state_dict(make(6, 4).state_dict())


def test_mistakes_name_the_way_out():
    with pytest.raises(UsageError, match="images_per_place=1: .*use 2 or more, or --method cosplace"):
        METHODS["gsv"].check(12, images_per_place=1)
    with pytest.raises(UsageError, match="`batch_size`: 30 is not a multiple of 4 .*set it to 28"):
        METHODS["gsv"].check(30, images_per_place=4)
    with pytest.raises(UsageError, match="--batch_size 8: .* raise it to 16"):
        make(6).sampler(8, 5, 0, processes=2)
    with pytest.raises(UsageError, match="`batch_size`: 28 .* has 6: lower `batch_size` to 24"):
        make(6, 5).sampler(28, 5, 0)
    with pytest.raises(UsageError, match="`min_images_per_class`: .*5 images.*raise it to 6"):
        make(6, images_per_place=6).sampler(12, 5, 0)
