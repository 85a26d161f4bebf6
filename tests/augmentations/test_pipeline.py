import hashlib
import random

import numpy as np
import pytest
import torch

from augmentations import AUGMENTATIONS
from augmentations.pipeline import Augmentation
from commons.seeding import random_states, restore_random_states, seed_everything

# The default augmentation as it was before its parts were compared with kornia's, at commit abff36b.
GREENS = [0.811728, 0.577551, 0.542956, 0.359579, 0.507915, 0.108040, 0.594447, 0.718845, 0.273354]
SUM, CHECKSUM = 2867.9597678657738, "7ca8d7fb81193099"
same_arithmetic = torch.__version__.startswith("2.14.") and torch.backends.cpu.get_cpu_capability() == "AVX512"


def default_augmentation() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 3, 24, 32), dtype=torch.uint8, generator=generator)
    torch.manual_seed(7)
    return Augmentation()(images)


def test_the_default_recipe_is_what_it_was():
    out = default_augmentation()
    assert out[:, 1, ::11, 5].flatten().tolist() == pytest.approx(GREENS, abs=1e-6)
    assert out.sum(dtype=torch.float64).item() == pytest.approx(SUM, abs=1e-2)


@pytest.mark.skipif(not same_arithmetic, reason="taken with PyTorch 2.14 and AVX512; others may round differently")
def test_the_default_recipe_is_bit_equal_to_what_it_was():
    out = default_augmentation()
    assert hashlib.sha256(out.numpy().tobytes()).hexdigest()[:16] == CHECKSUM


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_restored_random_states_give_the_same_bits(name: str):
    """As after `--resume_train`, whose checkpoint holds the states."""
    images = torch.randint(0, 256, (6, 3, 40, 48), dtype=torch.uint8)
    seed_everything(3)
    augment = Augmentation(augmentations=[name])
    augment(images)  # draws before the checkpoint
    states = random_states()
    first = [augment(images) for _ in range(3)]
    assert not all(torch.equal(first[0], other) for other in first[1:]) or name in ("equalize", "auto_contrast")
    random.random(), np.random.rand(), torch.rand(5)
    restore_random_states(states)
    resumed = Augmentation(augmentations=[name])  # a resumed run builds its own
    assert all(torch.equal(resumed(images), expected) for expected in first)


def test_names_options_and_order():
    names = ["night", "perspective", "rotation", "blur"]
    both = Augmentation(names, {"rotation": {"degrees": 0.0}})
    assert [type(part).__name__ for part in both] == ["Night", "Perspective", "Rotation", "Blur"]
    images = torch.rand(2, 3, 20, 30)
    assert torch.allclose(both[2](images.clone()), images, atol=1e-5)
    assert [type(part).__name__ for part in Augmentation()] == ["ColorJitter", "RandomResizedCrop"]
    assert [type(part).__name__ for part in Augmentation(["random_resized_crop"])] == ["RandomResizedCrop"]


def test_all_of_them_in_a_row_leave_the_uint8_batch_alone():
    images = torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8)
    before = images.clone()
    out = Augmentation(augmentations=list(AUGMENTATIONS))(images)
    assert torch.equal(images, before) and out.min() >= 0 and out.max() <= 1
    assert torch.allclose(Augmentation(augmentations=[])(images), images / 255)
