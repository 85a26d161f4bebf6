import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from augmentations.pipeline import Augmentation
from augmentations.random_resized_crop import RandomResizedCrop


def test_crop_equals_torchvision_on_the_same_box():
    torch.manual_seed(0)
    images = torch.rand(5, 3, 40, 40)
    crop = RandomResizedCrop(0.5)
    boxes = crop.draw(5, 40, 40)
    crop.draw = lambda *_: boxes
    out = crop(images)
    for image, result, (left, top, width, height) in zip(images, out, boxes.int().tolist(), strict=True):
        expected = F.resized_crop(image, top, left, height, width, [40, 40], antialias=True)
        assert torch.allclose(result, expected, atol=1e-5)


def test_boxes_have_torchvisions_distribution():
    torch.manual_seed(0)
    ours = RandomResizedCrop(0.5).draw(4000, 100, 120)
    image = torch.empty(3, 100, 120)
    theirs = torch.tensor(
        [
            (left, top, width, height)
            for top, left, height, width in (
                v2.RandomResizedCrop.make_params(v2.RandomResizedCrop(10, scale=(0.5, 1)), [image]).values()
                for _ in range(4000)
            )
        ],
        dtype=torch.float32,
    )
    assert torch.allclose(ours.mean(0), theirs.mean(0), rtol=0.03, atol=0.6)
    assert torch.allclose(ours.std(0), theirs.std(0), rtol=0.05)


def test_boxes_lie_inside_and_keep_the_area():
    boxes = RandomResizedCrop(0.5).draw(2000, 64, 64)
    left, top, width, height = boxes.T
    assert (left >= 0).all() and (top >= 0).all() and (left + width <= 64).all() and (top + height <= 64).all()
    area = width * height / 64**2
    assert area.min() > 0.48 and area.max() <= 1
    assert (boxes == boxes.round()).all()


def test_no_crop_changes_nothing():
    images = torch.rand(2, 3, 8, 8)
    assert RandomResizedCrop(1.0)(images) is images


def test_augmentation_takes_uint8_and_stays_in_range():
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    out = Augmentation()(images)
    assert out.dtype == torch.float32 and out.shape == images.shape
    assert out.min() >= 0 and out.max() <= 1


def test_augmentation_follows_the_seed():
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    augment = Augmentation()
    torch.manual_seed(1)
    first = augment(images)
    torch.manual_seed(1)
    assert torch.equal(augment(images), first)
