"""Adaptation of networks to the images of a folder, and its record in the results."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from commons.distributed import share_from_main
from datasets.fingerprints import count_shared, fingerprints
from datasets.places import Places
from datasets.reading import read_images
from datasets.test_dataset import TestSet, image_batches
from datasets.unlabelled import SquareImages
from training.adaptation.batch_norm import adapt_batch_norm, batch_norms

ADAPTATION_BATCH = 32  # the statistics of smaller batches differ too much from those of all images


def adaptation_records(test_sets: Iterable[TestSet], targets: Mapping[str, torch.Tensor]) -> dict[str, dict]:
    """Finds the test sets that share images with the adaptation of a network, and logs a warning for each of them.

    Args:
        test_sets: the test sets.
        targets: fingerprints of the images that the network was adapted to, by folder.

    Returns:
        "transductive" and "target_folders" by the name of the set; empty without adaptation.
    """
    records = {}
    for test_set in test_sets if targets else ():
        known = np.concatenate([own.numpy() for own in targets.values()])
        parts = test_set.tables
        shared = {what: count for what, places in parts.items() if (count := count_shared(places, known))}
        records[test_set.name] = {"transductive": bool(shared), "target_folders": list(targets)}
        if shared:
            seen = " and ".join(f"{count} of its {len(parts[what])} {what}" for what, count in shared.items())
            logging.warning(
                f"{test_set.name}: transductive: true. The network was adapted to {seen} ({', '.join(targets)}); do "
                "not compare it with networks that have not seen them"
            )
    return records


def remember_targets(
    seen: Mapping[str, torch.Tensor], folder: str | None, images: Places | None
) -> dict[str, torch.Tensor]:
    """Adds the fingerprints of `images`, unless they are None, to the fingerprints `seen` by folder."""
    if images is None:
        return dict(seen)
    logging.info(f"Adaptation to {len(images)} images of {folder}")
    return dict(seen) | {str(Path(folder).resolve()): torch.from_numpy(fingerprints(images))}


def adapt_to_folder(
    network: torch.nn.Module,
    folder: str,
    accelerator: Accelerator,
    batch_size: int,
    num_workers: int,
    image_size: int | Sequence[int],
    seed: int = 0,
) -> dict[str, torch.Tensor]:
    """Replaces the batch-norm statistics of the network on every process by those of the images of a folder.

    Args:
        network: network on the device of the accelerator.
        folder: folder of images, which need no positions.
        accelerator: accelerator of the run.
        batch_size: images in a batch.
        num_workers: number of decoding threads.
        image_size: side of the square crops of the images, or height and width of all images.
        seed: seed of the order of the images.

    Returns:
        The fingerprints of the images, by folder.

    Raises:
        UsageError: if the network has no batch normalization.
    """
    batch_norms(network)
    places = read_images(folder)
    batches = image_batches(SquareImages(places, image_size, seed), batch_size, num_workers, accelerator.device)
    adapt_batch_norm(network, (images.to(accelerator.device) for _, images in batches))
    share_from_main(network.buffers(), accelerator)
    logging.info(f"Batch normalization adapted to {len(places)} images of {folder}")
    return {str(Path(folder).resolve()): torch.from_numpy(fingerprints(places))}
