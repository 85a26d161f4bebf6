"""Descriptors of a frozen encoder, extracted once for all epochs."""

import hashlib
import logging
from contextlib import closing

import numpy as np
import torch
from torch import nn

from commons.distributed import from_main
from commons.files import CACHE, atomic_path, remove_abandoned
from datasets.decoding import ImageFiles
from datasets.image_cache import images_key
from datasets.unlabelled import CentralSquares
from tasks.extraction import Extractor

VERSION = "1"


class Augmented(nn.Module):
    """Augments images before an encoder; random numbers follow from the seed of the view."""

    def __init__(self, augment: nn.Module, encoder: nn.Module) -> None:
        super().__init__()
        self.augment, self.encoder, self.descriptor_dim = augment, encoder, encoder.descriptor_dim

    def train(self, mode: bool = True) -> "Augmented":
        """Sets the mode, but keeps the augmentation in training mode."""
        super().train(mode)
        self.augment.train()
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps uint8 images (b, 3, s, s) to descriptors (b, descriptor_dim)."""
        return self.encoder(self.augment(images))


def cached_features(
    encoder: nn.Module,
    images: ImageFiles,
    extractor: Extractor,
    augment: nn.Module,
    views: int,
    seed: int,
    cache: str,
) -> np.ndarray:
    """Returns the descriptors of all images and of augmented copies, from a file of an earlier run if there is one.

    All processes must call it. Memory: 2 d bytes for each view of an image; with a file, those of a block.

    Args:
        encoder: frozen, on its device.
        images: the training images.
        extractor: extractor of descriptors.
        augment: maps uint8 images to float ones.
        views: the images themselves, and `views` - 1 augmented copies of their central squares.
        seed: seed of the copies.
        cache: "disk" for a file in cache/, "ram" for memory.

    Returns:
        float16 (views, n, d), NaN for images that cannot be decoded.
    """
    accelerator, places = extractor.accelerator, images.places
    shape = (views, len(places), encoder.descriptor_dim)
    if cache == "ram":
        made = np.full(shape, np.nan, np.float16)
        _fill(made, views, encoder, images, extractor, augment, seed)
        return made
    path = CACHE / f"features_{_key(encoder, images, extractor, augment, views, seed)}.npy"
    if not from_main(path.is_file()):
        if accelerator.is_main_process:
            remove_abandoned(CACHE, ".features_*.npy")
            with atomic_path(path) as temporary:
                made = np.lib.format.open_memmap(temporary, "w+", np.float16, shape)
                made[:] = np.nan
                _fill(made, views, encoder, images, extractor, augment, seed)
                made.flush()
        else:
            _fill(None, views, encoder, images, extractor, augment, seed)
        accelerator.wait_for_everyone()
    logging.info(f"Features of {places.folder} are read from {path} ({path.stat().st_size / 1e9:.2f} GB)")
    return np.load(path, mmap_mode="r")


def _fill(
    made: np.ndarray | None,
    views: int,
    encoder: nn.Module,
    images: ImageFiles,
    extractor: Extractor,
    augment: nn.Module,
    seed: int,
) -> None:
    """Extracts all views into an array, or takes part in it without one."""
    places, size = images.places, images.shorter_side
    for number in range(views):
        network, source = encoder, images
        if number:
            network, source = Augmented(augment, encoder), CentralSquares(places, size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + number)
            with closing(extractor.stream(network, places, source, f"features, view {number + 1}")) as stream:
                for rows, descriptors in stream:
                    if made is not None:
                        made[number, rows] = descriptors


def _key(
    encoder: nn.Module, images: ImageFiles, extractor: Extractor, augment: nn.Module, views: int, seed: int
) -> str:
    """Returns a hash of everything on which the features depend."""
    about = (VERSION, images_key(images), extractor.precision, extractor.shorter_side, views)
    key = hashlib.sha256(repr(about + ((seed, repr(augment)) if views > 1 else ())).encode())
    for name, tensor in encoder.state_dict().items():
        key.update(name.encode())
        key.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return key.hexdigest()[:16]
