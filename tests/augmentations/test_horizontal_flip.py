import torch

from augmentations.horizontal_flip import HorizontalFlip


def test_left_and_right_change_places():
    images = torch.arange(6.0).view(1, 1, 2, 3) / 5
    assert (HorizontalFlip(p=1.0)(images.clone()) * 5).flatten().tolist() == [2, 1, 0, 5, 4, 3]


def test_half_of_the_images_are_mirrored():
    torch.manual_seed(0)
    images = torch.rand(1, 3, 4, 4).repeat(500, 1, 1, 1)
    mirrored = (HorizontalFlip()(images.clone()) == images.flip(3)).flatten(1).all(1)
    assert 0.44 < mirrored.float().mean() < 0.56
