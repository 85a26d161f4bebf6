"""Properties of all augmentations."""

import subprocess
import sys

import pytest
import torch

from augmentations import AUGMENTATIONS, FLAGS
from augmentations.sometimes import FromLibrary

OWN = [name for name in AUGMENTATIONS if name not in FLAGS]
NO_STRENGTH = {
    "perspective": {"distortion": 0.0},
    "rotation": {"degrees": 0.0},
    "horizontal_flip": {"p": 0.0},
    "blur": {"sigma": 0.0},
    "motion_blur": {"p": 0.0},
    "gamma": {"strength": 0.0},
    "auto_contrast": {"p": 0.0},
    "equalize": {"p": 0.0},
    "solarize": {"threshold": 1.0},
    "channel_dropout": {"p": 0.0},
    "erasing": {"min_area": 0.0, "max_area": 0.0},
    "randaugment": {"p": 0.0},
    "augmix": {"p": 0.0},
    "night": {"darkness": 0.0},
    "rain": {"amount": 0.0},
    "snow": {"amount": 0.0},
    "fog": {"density": 0.0},
    "plasma_shadow": {"intensity": 0.0},
    "jpeg": {"p": 0.0},
}
SAME_FOR_ALL = ("horizontal_flip", "auto_contrast", "equalize")


def pictures(count: int = 6) -> torch.Tensor:
    """Smooth blobs with some noise, all the same, of an odd and oblong size."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 4, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (37, 53), mode="bicubic").clamp(0, 1)
    return (0.85 * smooth + 0.1 * torch.rand(1, 3, 37, 53, generator=generator)).repeat(count, 1, 1, 1)


def always(name: str) -> torch.nn.Module:
    return AUGMENTATIONS[name](p=1.0)


def test_names_are_listed_without_importing_a_library():
    code = "import augmentations, sys; list(augmentations.AUGMENTATIONS); print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'commons.registry'" in loaded
    assert not any(f"'{heavy}'" in loaded for heavy in ("torch", "numpy", "kornia", "torchvision"))


@pytest.mark.parametrize("name", OWN)
def test_range_shape_and_own_draws(name: str):
    torch.manual_seed(0)
    images = pictures(8)
    out = always(name)(images.clone())
    assert out.shape == images.shape and out.dtype == torch.float32
    assert out.min() >= 0 and out.max() <= 1 and not torch.equal(out, images)
    different = {tuple(image.flatten()[::97].tolist()) for image in out}
    least = {"channel_dropout": 3, "solarize": 4, "randaugment": 7}.get(name, 8)
    assert len(different) == 1 if name in SAME_FOR_ALL else len(different) >= least


@pytest.mark.parametrize("name", OWN)
def test_the_seed_decides(name: str):
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(AUGMENTATIONS[name]()(pictures(16)))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("name", OWN)
def test_no_strength_changes_nothing(name: str):
    images = pictures()
    assert torch.allclose(AUGMENTATIONS[name](**({"p": 1.0} | NO_STRENGTH[name]))(images.clone()), images, atol=1e-4)


@pytest.mark.parametrize("name", OWN)
def test_each_image_is_changed_with_probability_p(name: str):
    torch.manual_seed(0)
    images = torch.rand(1, 3, 9, 9).repeat(400, 1, 1, 1)
    augmentation = AUGMENTATIONS[name](p=0.25)
    # Whatever is done with an image, here it is made black.
    augmentation.augment = lambda images, *draws: torch.zeros_like(images)
    changed = (augmentation(images.clone()) == 0).all(3).all(2).all(1)
    assert 0.18 < changed.float().mean() < 0.32
    assert not AUGMENTATIONS[name](p=0.0).choose(400).numel()


@pytest.mark.parametrize("name", ["gamma", "fog", "jpeg"])
def test_a_whole_batch_and_image_by_image_agree(name: str):
    """A CPU goes image by image, a GPU takes all together; only noise differs."""
    torch.manual_seed(3)
    augmentation, images = always(name), pictures()
    draws = augmentation.draw(6, 37, 53)
    together = augmentation.augment(images.clone(), *draws)
    augmentation.draw = lambda *_: draws
    assert torch.allclose(together, augmentation(images.clone()), atol=1e-5)


@pytest.mark.parametrize("p", [0.5, 1.0])
@pytest.mark.parametrize("name", [name for name in OWN if name != "augmix"])
def test_nothing_waits_for_the_device(name: str, p: float, monkeypatch: pytest.MonkeyPatch):
    """PyTorch's meta device has no values: reading one of it, or mixing it with the CPU, would be an error.

    AugMix's Dirichlet distribution, which torchvision draws on the device, is not implemented there.
    """
    for module in ("erasing", "night"):
        monkeypatch.setattr(f"augmentations.{module}.noise_generator", lambda seeds, device: None)
    torch.manual_seed(1)
    out = AUGMENTATIONS[name](p=p)(torch.rand(6, 3, 32, 32, device="meta"))
    assert out.device.type == "meta" and out.shape == (6, 3, 32, 32)


@pytest.mark.parametrize("name", [name for name in OWN if issubclass(AUGMENTATIONS[name], FromLibrary)])
def test_draws_of_libraries_stay_on_the_cpu_when_the_module_is_moved(name: str):
    torch.manual_seed(1)
    expected = always(name)(pictures())
    moved = always(name).to("meta")
    torch.manual_seed(1)
    assert torch.equal(moved(pictures()), expected)


@pytest.mark.parametrize("name", OWN)
def test_rounding_of_those_before_makes_no_nan(name: str):
    images = torch.tensor([-2e-8, 1 + 2e-7]).repeat_interleave(6 * 3 * 20 * 20).view(12, 3, 20, 20)
    out = always(name)(images)
    assert out.isfinite().all() and out.min() >= -1e-6 and out.max() <= 1 + 1e-6


@pytest.mark.parametrize("name", OWN)
def test_small_images(name: str):
    assert always(name)(torch.rand(3, 3, 6, 5)).shape == (3, 3, 6, 5)
