import pytest
import torch

from augmentations.sometimes import FromLibrary, Sometimes, column, draw_seeds, noise_generator, require, uniform
from commons.errors import ArgumentError


def test_mistakes_name_the_setting():
    require("rotation.degrees=10", True, "between 0 and 180")
    with pytest.raises(ArgumentError, match="`augmentation_options`: rotation.degrees=200: must be between 0 and 180"):
        require("rotation.degrees=200", False, "between 0 and 180")
    with pytest.raises(ArgumentError, match="p=1.5: must be between 0 and 1"):
        Sometimes(1.5)


def test_a_library_is_given_the_chosen_images_only():
    given = []

    class Black(FromLibrary):
        def augment(self, images: torch.Tensor) -> torch.Tensor:
            given.append(images.clone())
            return torch.zeros_like(images)

    black, images = Black(0.5), torch.rand(4, 3, 2, 2)
    black.choose = lambda count: torch.tensor([1, 3])
    out = black(images.clone())
    assert torch.equal(given[0], images[[1, 3]])
    assert torch.equal(out[[0, 2]], images[[0, 2]]) and (out[[1, 3]] == 0).all()
    black.choose = lambda count: torch.tensor([], dtype=torch.long)
    assert torch.equal(black(images.clone()), images) and len(given) == 1


def test_uniform_and_column():
    torch.manual_seed(0)
    drawn = uniform(5000, -2, 4)
    assert drawn.mean().item() == pytest.approx(1, abs=0.1) and drawn.std().item() == pytest.approx(3**0.5, abs=0.1)
    assert drawn.min() >= -2 and drawn.max() < 4
    assert column(drawn[:3], torch.rand(3, 3, 2, 2)).shape == (3, 1, 1, 1)


def test_noise_follows_from_the_cpu_generator():
    torch.manual_seed(5)
    seeds = draw_seeds(3)
    noise = torch.rand(4, generator=noise_generator(seeds, torch.device("cpu")))
    torch.manual_seed(5)
    assert torch.equal(torch.rand(4, generator=noise_generator(draw_seeds(3), torch.device("cpu"))), noise)
    assert not torch.equal(torch.rand(4, generator=noise_generator(seeds[1:], torch.device("cpu"))), noise)
