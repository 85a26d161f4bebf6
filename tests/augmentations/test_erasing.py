import pytest
import torch
from torchvision.transforms import v2

from augmentations.erasing import Erasing
from commons.errors import ArgumentError


def test_one_box_is_noise_and_the_rest_stays():
    images = torch.full((2, 3, 40, 50), 2.0)  # no noise is above 1
    boxes = torch.tensor([[10.0, 5, 20, 30], [0.0, 0, 50, 40]])
    out = Erasing().augment(images.clone(), boxes, torch.tensor([3, 4]))
    inside = out[0, :, 5:35, 10:30]
    assert (out[0] == 2).sum() == 3 * (40 * 50 - 20 * 30) and (out[1] < 1).all()
    assert inside.min() >= 0 and inside.max() < 1
    assert inside.mean().item() == pytest.approx(0.5, abs=0.03)
    assert inside.std().item() == pytest.approx(12**-0.5, abs=0.02)


def test_boxes_have_torchvisions_distribution():
    torch.manual_seed(0)
    ours, _ = Erasing().draw(4000, 100, 120)
    reference, image = v2.RandomErasing(p=1.0), torch.empty(3, 100, 120)
    drawn = [v2.RandomErasing.make_params(reference, [image]) for _ in range(4000)]
    theirs = torch.tensor([[d["j"], d["i"], d["w"], d["h"]] for d in drawn], dtype=torch.float32)
    assert torch.allclose(ours.mean(0), theirs.mean(0), rtol=0.04, atol=0.6)
    assert torch.allclose(ours.std(0), theirs.std(0), rtol=0.06)


@pytest.mark.parametrize("area", [(0.5, 0.2), (0.1, 1.5)])
def test_areas_out_of_order_are_refused(area: tuple[float, float]):
    with pytest.raises(ArgumentError, match="erasing.min_area"):
        Erasing(min_area=area[0], max_area=area[1])
