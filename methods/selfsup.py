"""Self-supervised training: images without labels, two views of each."""

from typing import Any

import torch
from torch import nn

from datasets.places import Places
from methods.all_images import AllImages


class SelfSupervised(AllImages):
    """Compares two augmented views of each image with --self_supervised_loss.

    The default is VICReg (https://arxiv.org/abs/2105.04906); --help_self_supervised_loss NAME prints its formula.
    Batches are drawn from all images of the training folder, which can hold any photos: positions, headings and classes
    are not used. The network extracts descriptors of both views, so of 2 * --batch_size images.
    """

    task = "place_recognition"
    labelled = own_loss = False
    losses: dict[str, type[nn.Module]] = {}
    batches = "selfsup uses no labels, only two views of each image"
    defaults: dict[str, object] = {"self_supervised_weight": 1.0}
    conflicts = dict.fromkeys(
        ("M", "alpha", "N", "L", "min_images_per_class", "groups_num"), "it has no classes"
    ) | dict.fromkeys(
        ("loss", "loss_options", "miner", "miner_options", "classifiers_lr"),
        "it has no labels; choose with --self_supervised_loss, or add that loss to another method with "
        "--self_supervised_weight",
    )

    def __init__(self, places: Places) -> None:
        """Args:
        places: the training images.
        """
        super().__init__(len(places))

    @classmethod
    def build(cls, settings: Any, images: Places, descriptor_dim: int, task: Any) -> "SelfSupervised":
        """Builds the method from the training images."""
        return cls(images)

    def loss(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns zero; `Extras` computes the loss on two views."""
        return descriptors.new_zeros(())
