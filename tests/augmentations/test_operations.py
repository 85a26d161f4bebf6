import math

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from augmentations.operations import OPERATIONS, amounts, apply_operations

BILINEAR = InterpolationMode.BILINEAR


@pytest.mark.parametrize(
    ("name", "values", "theirs"),
    [
        ("identity", [0, 0], lambda image, _: image),
        ("auto_contrast", [0, 0], lambda image, _: F.autocontrast(image)),
        ("equalize", [0, 0], lambda image, _: F.equalize(image)),
        ("solarize", [0.3, 0.8], F.solarize),
        ("posterize", [2.0, 5.0], lambda image, bits: F.posterize(image, int(bits))),
        ("color", [0.2, 1.7], F.adjust_saturation),
        ("contrast", [0.2, 1.7], F.adjust_contrast),
        ("brightness", [0.2, 1.7], F.adjust_brightness),
        ("sharpness", [0.2, 1.7], F.adjust_sharpness),
    ],
)
def test_colours_equal_torchvision_image_by_image(name: str, values: list[float], theirs):
    images = torch.rand(2, 3, 20, 30) * 0.8 + 0.1
    expected = torch.stack([theirs(image, value) for image, value in zip(images, values, strict=True)])
    assert torch.allclose(OPERATIONS[name](images.clone(), torch.tensor(values)), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "amount", "moved"),
    [
        ("rotate", 20.0, {"angle": -20.0}),
        ("shear_x", 0.2, {"shear": [math.degrees(math.atan(0.2)), 0.0]}),
        ("shear_y", 0.2, {"shear": [0.0, math.degrees(math.atan(0.2))]}),
        ("translate_x", 0.1, {"translate": [6, 0]}),
        ("translate_y", -0.1, {"translate": [0, -4]}),
    ],
)
def test_shapes_equal_torchvision(name: str, amount: float, moved: dict):
    image = torch.rand(3, 40, 60)
    where = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], "interpolation": BILINEAR} | moved
    inside = F.affine(torch.ones_like(image), **where) > 0.9999
    ours = OPERATIONS[name](image[None], torch.tensor([amount]))[0]
    assert inside.float().mean() > 0.5
    assert torch.allclose(ours[inside], F.affine(image, **where)[inside], atol=1e-3)


def test_each_image_gets_its_own_operation():
    images = torch.rand(4, 3, 5, 5)
    out = apply_operations(
        images.clone(), ["solarize", "brightness"], torch.tensor([0, -1, 1, 0]), torch.tensor([0.0, 9, 0.5, 2.0])
    )
    assert torch.allclose(out, torch.stack([1 - images[0], images[1], images[2] / 2, images[3]]))


def test_amounts_go_from_none_to_full_on_one_or_two_sides():
    torch.manual_seed(0)
    names, ranges = ["rotate", "solarize", "color"], {"rotate": (0, 30), "solarize": (1, 0), "color": (1, 1.9)}
    drawn = amounts(names, ranges, torch.tensor([[0], [1], [2]]).expand(3, 2000), torch.full((3, 2000), 0.5))
    assert drawn[0].unique().tolist() == [-15, 15] and abs((drawn[0] > 0).float().mean() - 0.5) < 0.05
    assert drawn[1].unique().tolist() == [0.5]
    assert torch.allclose(drawn[2].unique(), torch.tensor([0.55, 1.45]))


def test_posterize_keeps_what_rounding_made_negative_at_0():
    images = torch.tensor([-2e-8, 0.3, 1 + 2e-7]).repeat(3, 1, 1)[None]
    assert OPERATIONS["posterize"](images, torch.tensor([2.0]))[0, 0, 0].tolist() == [0, 0.25, 0.75]
