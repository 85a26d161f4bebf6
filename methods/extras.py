"""Builds the losses and adaptations that are added to any method from the settings of train.py."""

from typing import Any

import torch
from accelerate import Accelerator

from datasets.decoding import ImageFiles
from datasets.unlabelled import ImageSampler, ImageStream
from losses.self_supervised import SELF_SUPERVISED
from training.adaptation import DESCRIPTOR_ADAPTATIONS, IMAGE_ADAPTATIONS
from training.extras import Extras


def build_extras(
    settings: Any,
    descriptor_dim: int,
    targets: ImageFiles | None,
    accelerator: Accelerator,
    decoder: torch.device | None,
) -> Extras:
    """Builds the self-supervised loss and the adaptation to target images.

    Args:
        settings: settings of train.py.
        descriptor_dim: dimension of the descriptors.
        targets: images of the target domain, if there is one.
        accelerator: accelerator of the run.
        decoder: as for `datasets.train_dataset.train_loader`.
    """
    chosen = settings.extras
    losses, weights, views = {}, {}, None
    if chosen.self_supervised_weight:
        views = chosen.self_supervised_loss
        losses[views] = SELF_SUPERVISED[views](descriptor_dim, **chosen.self_supervised_loss_options)
        weights[views] = chosen.self_supervised_weight
    image_adaptations = []
    for name in chosen.adaptation:
        options = chosen.adaptation_options[name]
        if name in DESCRIPTOR_ADAPTATIONS:
            losses[name] = DESCRIPTOR_ADAPTATIONS[name](descriptor_dim, **options)
            weights[name] = chosen.adaptation_weight
        else:
            image_adaptations.append(IMAGE_ADAPTATIONS[name](**options))
    stream = None if targets is None else _stream(settings, targets, accelerator, decoder)
    return Extras(losses, weights, views, image_adaptations, stream, chosen.auxiliary_lr, accelerator.device)


def _stream(settings: Any, targets: ImageFiles, accelerator: Accelerator, decoder: torch.device | None) -> ImageStream:
    # Differs from all seeds of runs. With an equal seed, a target set of the same size would have the same order.
    seed = settings.run.seed + 2**32
    length = (settings.training.batch_size, settings.training.iterations_per_epoch)
    share = (accelerator.process_index, accelerator.num_processes)
    sampler = ImageSampler(len(targets.places), *length, seed, *share)
    return ImageStream(targets, sampler, settings.run.num_workers, accelerator.device, decoder)
