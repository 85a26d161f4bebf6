"""Vocabularies of VLAD: read from a file, or fitted to the database of a test set."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from commons import devices
from commons.distributed import share_from_main
from commons.errors import ArgumentError
from commons.files import atomic_path
from datasets.decoding import ImageFiles
from datasets.places import Places
from datasets.test_dataset import image_batches
from model.aggregation.vlad import VLAD
from model.aggregation.vocabulary import read_vocabulary
from model.network import initialise_aggregation
from tasks.extraction import Extractor

IMAGES = 512
FILE = "vocabulary.pt"


def vlads(network: nn.Module) -> list[nn.Module]:
    """Returns the network, or the members of an ensemble, whose aggregation layer is VLAD."""
    members = getattr(network, "members", [network])
    return [own for own in members if isinstance(getattr(own, "aggregation", None), VLAD)]


def use_vocabulary(network: nn.Module, path: str) -> None:
    """Gives a network the vocabulary of a file.

    Raises:
        PlacewiseError: if the file holds none.
        ArgumentError: if the vocabulary does not fit, or the network is not exactly one with VLAD.
    """
    found = vlads(network)
    if len(found) != 1:
        raise ArgumentError(
            "vocabulary", f"it is for one network with `aggregation` vlad, but there are {len(found) or 'none'}"
        )
    found[0].aggregation.set_vocabulary(read_vocabulary(path))
    logging.info(f"Vocabulary of {len(found[0].aggregation.centroids)} centres from {path}")


def check_pca_vocabulary(network: nn.Module, settings: Any) -> None:
    """Raises ArgumentError if a PCA would be fitted to descriptors of another vocabulary than that of the test sets.

    Args:
        network: network with the vocabulary of --vocabulary, if it is given.
        settings: section `test_time` of the settings of eval.py.
    """
    for flag in ("pca_images", "pca_file"):
        if getattr(settings, flag) and any(not own.aggregation.given for own in vlads(network)):
            raise ArgumentError(
                flag,
                "needs `vocabulary`: without it, each test set has its own vocabulary, which this PCA does not fit",
            )


def fit_vocabularies(
    network: nn.Module, database: Places, extractor: Extractor, precision: str, again: bool = True
) -> dict[str, Any] | None:
    """Fits the vocabularies that are not part of the network to the images of a database. All processes call it.

    Args:
        network: network on its device.
        database: database of the test set; of more than 512 images, every second, third, ... is used.
        extractor: says how images are read.
        precision: "fp32", "bf16" or "fp16".
        again: False if they have been fitted to this database before.

    Returns:
        What results.json says of it; None if there is nothing to fit.
    """
    unfitted = [own for own in vlads(network) if not own.aggregation.given]
    if not unfitted:
        return None
    sample = database.take(np.arange(0, len(database), -(-len(database) // IMAGES)))
    source = f"{len(sample)} of the {len(database)} database images"
    for own in unfitted if again else ():
        with devices.autocast(extractor.accelerator.device, precision):
            initialise_aggregation(own, _batches(sample, extractor))
        own.aggregation.given.fill_(False)
        share_from_main(own.aggregation.buffers(), extractor.accelerator)
        logging.info(f"Vocabulary of {len(own.aggregation.centroids)} centres fitted to {source} ({database.folder})")
    return {"fitted_to": source, "folder": str(database.folder)}


def _batches(places: Places, extractor: Extractor) -> Iterator[torch.Tensor]:
    device = extractor.accelerator.device
    source = ImageFiles(places, extractor.shorter_side)
    for _, images in image_batches(source, extractor.batch_size, extractor.num_workers, device):
        yield images.to(device)


def save_vocabulary(network: nn.Module, file: Path) -> None:
    """Writes the fitted vocabulary of a network, for --vocabulary; nothing if it has none, or more than one."""
    fitted = [own.aggregation.centroids for own in vlads(network) if not own.aggregation.given]
    if len(fitted) == 1:
        with atomic_path(file) as temporary:
            torch.save(fitted[0].cpu().clone(), temporary)
