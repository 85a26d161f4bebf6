import io

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.decoding import ImageFiles, decode
from datasets.image_cache import cached_images
from datasets.letterbox import Letterbox, is_panorama, letterbox_of
from datasets.reading import read_images
from datasets.samplers import Draw
from datasets.train_dataset import square

BOX = Letterbox(48, 64)


def jpeg(height: int, width: int, value: int = 200) -> torch.Tensor:
    file = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(file, "JPEG")
    return torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("height", "width", "fitted"),
    [(480, 640, [48, 64]), (96, 96, [48, 48]), (100, 400, [16, 64]), (400, 100, [48, 12]), (12, 16, [48, 64]),
     (3, 3000, [1, 64])],
)  # fmt: skip
def test_images_keep_their_shape(height: int, width: int, fitted: list[int]):
    assert BOX.fitted(height, width) == fitted
    assert list(decode(jpeg(height, width), BOX).shape) == [3, *fitted]


def test_borders_are_black_and_equal():
    padded = BOX.pad(torch.full((3, 16, 64), 9, dtype=torch.uint8))
    assert padded.shape == (3, 48, 64)
    assert (padded[:, 16:32] == 9).all() and not padded[:, :16].any() and not padded[:, 32:].any()
    padded = BOX.pad(torch.full((3, 48, 20), 9, dtype=torch.uint8))
    assert (padded[:, :, 22:42] == 9).all() and padded.sum() == 9 * 3 * 48 * 20


def test_training_turns_panoramas_and_nothing_else():
    columns = torch.arange(64, dtype=torch.uint8).expand(3, 32, 64)
    turned = square(columns, BOX, Draw(0, 0, shift=0.25))
    assert torch.equal(turned[:, 8:40], columns.roll(16, 2)) and not turned[:, :8].any()
    photo = torch.arange(64, dtype=torch.uint8).expand(3, 48, 64)
    assert torch.equal(square(photo, BOX, Draw(0, 0, shift=0.25)), photo)
    assert is_panorama(1000, 2010) and not is_panorama(1000, 1500) and not is_panorama(1000, 2200)


@pytest.mark.parametrize("cache", ["none", "ram", "disk"])
def test_files_and_caches_give_the_same_images_with_borders(tmp_path, cache: str):
    for number, (height, width) in enumerate([(300, 200), (20, 90), (64, 64)]):
        pixels = np.random.default_rng(number).integers(0, 255, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    places = read_images(tmp_path)
    found = cached_images(places, BOX, cache, tmp_path / "cache")
    for row in range(3):
        image = ImageFiles(places, BOX).read(row)
        assert image.shape == (3, 48, 64) and image.any()
        assert torch.equal(found.read(row), image)


def test_a_size_is_a_side_or_height_and_width():
    assert letterbox_of(32) == (32, 32) and letterbox_of([20, 30]) == Letterbox(20, 30)
