"""CosPlace: places as classes, one classifier per group."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from datasets.grouping import Group
from datasets.places import Places
from datasets.samplers import ClassSampler
from losses import CLASSIFICATION
from methods.classes import chosen_loss, make_classes
from methods.classifiers import ClassifierPerGroup


class CosPlace(ClassifierPerGroup):
    """Places as classes; each epoch trains on the next group (https://arxiv.org/abs/2204.02287).

    A batch holds different classes of one group, with one image per class. Each group has a classifier, which is
    trained together with the network and is not needed after training.
    """

    task = "place_recognition"
    labelled = own_loss = True
    losses = CLASSIFICATION
    batches = "a batch of cosplace has one image per place"
    defaults: dict[str, object] = {}
    conflicts: dict[str, str] = {}

    def __init__(
        self,
        groups: list[Group],
        loss: Callable[[int, int], nn.Module],
        descriptor_dim: int,
        classifiers_lr: float,
    ) -> None:
        """Args:
        groups: groups of classes.
        loss: builds a classification loss from (classes, descriptor_dim).
        descriptor_dim: dimension of the descriptors.
        classifiers_lr: learning rate of Adam for the classifiers.
        """
        classifiers = [loss(len(group), descriptor_dim) for group in groups]
        super().__init__([[group] for group in groups], classifiers, classifiers_lr)

    @classmethod
    def build(cls, settings: Any, images: Places, descriptor_dim: int, task: Any) -> "CosPlace":
        """Builds the method from the settings of train.py and the training images."""
        groups = make_classes(images, settings.classes)
        loss = chosen_loss(settings.method, descriptor_dim)
        return cls(groups, loss, descriptor_dim, settings.training.classifiers_lr)

    @staticmethod
    def check(batch_size: int, processes: int = 1) -> None:
        """Raises UsageError if the processes cannot share the batch equally."""
        ClassSampler(batch_size, 1, 0, 0, processes)

    def sampler(self, batch_size: int, iterations: int, seed: int, rank: int = 0, processes: int = 1) -> ClassSampler:
        """Returns the sampler of the batches.

        Raises:
            UsageError: if a group cannot fill a batch.
        """
        sampler = ClassSampler(batch_size, iterations, seed, rank, processes)
        sampler.set_epoch(min(self.groups, key=lambda groups: len(groups[0])), 0)
        return sampler

    def loss(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of float32 descriptors (b, d) with class numbers (b,)."""
        return self.classifier(descriptors, labels)
