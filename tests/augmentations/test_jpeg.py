import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torchvision.io import decode_jpeg, encode_jpeg

from augmentations.jpeg import CHROMA, LUMA, Jpeg, compress, cosine_basis, quantise, scaled_table
from commons.errors import ArgumentError


def picture(height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 6, 7, generator=generator)
    image = F.interpolate(coarse, (height, width), mode="bicubic")[0].clamp(0, 1)
    image[:, 10:30, 8:20] *= 0.3
    return (image * 255).round().byte()


@pytest.mark.parametrize("quality", [10, 35, 75, 95])
def test_it_equals_libjpeg_but_for_rounding(quality: int):
    image = picture(60, 83)
    theirs = decode_jpeg(encode_jpeg(image, quality=quality)).float()
    ours = compress(image[None] / 255, torch.tensor([quality]))[0] * 255
    lost = (theirs - image).abs().mean()
    assert (ours - theirs).abs().mean() < 0.1 * lost + 0.7
    assert (ours - image).abs().mean().item() == pytest.approx(lost.item(), rel=0.1, abs=0.2)


@pytest.mark.parametrize("quality", [1, 20, 49, 50, 85, 100])
def test_tables_are_libjpegs(quality: int):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
    tables = [np.array(table).reshape(8, 8) for table in Image.open(file).quantization.values()]
    ours = [scaled_table(torch.tensor([quality]), table)[0].numpy() for table in (LUMA, CHROMA)]
    for own, theirs in zip(ours, tables, strict=True):
        assert (own == theirs).all() or (own == theirs.T).all()
        assert own[0, 1] == theirs[0, 1]


def test_basis_is_orthonormal_and_a_flat_square_keeps_one_number():
    """A square of 100 has the coefficient 800, fifty steps of 16; one of 3 has 24, which becomes two steps, so 4."""
    assert torch.allclose(cosine_basis() @ cosine_basis().T, torch.eye(8), atol=1e-6)
    for value, expected in ((100.0, 100.0), (3.0, 4.0)):
        back = quantise(torch.full((1, 1, 8, 8), value + 1e-3), torch.tensor([50]), LUMA)
        assert torch.allclose(back, torch.tensor(expected), atol=1e-3)


def test_each_image_has_its_own_quality():
    images = (picture(32, 48) / 255).repeat(2, 1, 1, 1)
    both = compress(images, torch.tensor([10, 90]))
    assert torch.allclose(both[0], compress(images[:1], torch.tensor([10]))[0], atol=1e-6)
    assert (both[0] - images[0]).abs().mean() > 1.5 * (both[1] - images[1]).abs().mean()


def test_qualities_are_uniform():
    torch.manual_seed(0)
    (qualities,) = Jpeg(quality=30).draw(5000, 8, 8)
    assert (qualities.min(), qualities.max()) == (30, 100)
    assert qualities.float().mean().item() == pytest.approx(65, abs=1)
    with pytest.raises(ArgumentError, match="jpeg.quality=101"):
        Jpeg(quality=101)
