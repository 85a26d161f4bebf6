"""Training of GSV-Cities: batches of places with several images each, and a metric loss."""

import logging
from typing import Any

import torch
from torch import nn

from commons.errors import UsageError
from datasets.grouping import Group
from datasets.places import Places
from datasets.samplers import ClassSampler
from losses import METRIC
from methods.classes import chosen_loss, make_classes


class GSV:
    """Batches of P places with K images each, compared by a metric loss (GSV-Cities, https://arxiv.org/abs/2210.10239).

    A place is a class: a place of GSV-Cities, or a cell of position and heading in any other data set. All places of a
    batch belong to one group (in GSV-Cities, to one city), so they are not neighbours. A pass visits every place of
    every group. --batch_size is P * K. There is no classifier.
    """

    task = "place_recognition"
    labelled = own_loss = True
    losses = METRIC
    batches = "gsv has no classifier"
    defaults: dict[str, object] = {
        "loss": "multi_similarity",
        "min_images_per_class": 4,
        "groups_num": 0,
        "image_size": 320,
        "batch_size": 240,
        "epochs_num": 30,
        "iterations_per_epoch": 1000,
        "lr": 2e-4,
    }
    conflicts = {"classifiers_lr": "it has no classifier"}

    def __init__(self, groups: list[Group], loss: nn.Module, *, images_per_place: int = 4) -> None:
        """Args:
        groups: groups of places; a batch is drawn from one group.
        loss: metric loss(descriptors, labels).
        images_per_place: number of different images of each place in a batch, at least 2.
        """
        self.groups, self._loss, self.images_per_place = groups, loss, images_per_place
        self.parameters: list[nn.Parameter] = []
        self.optimizers: list[torch.optim.Optimizer] = []

    @classmethod
    def build(cls, settings: Any, images: Places, descriptor_dim: int, task: Any) -> "GSV":
        """Builds the method from the settings of train.py and the training images."""
        groups = make_classes(images, settings.classes)
        return cls(groups, chosen_loss(settings.method, descriptor_dim), **settings.method.method_options)

    @staticmethod
    def check(batch_size: int, processes: int = 1, images_per_place: int = 4) -> None:
        """Raises UsageError if a process gets fewer than two places or images per place, or shares are not equal.

        Args:
            batch_size: images in a batch over all processes.
            processes: number of processes that share it.
            images_per_place: images of each place in a batch.
        """
        if images_per_place < 2:
            raise UsageError(
                f"--method_options images_per_place={images_per_place}: a metric loss compares images of a "
                "place; use 2 or more, or --method cosplace, which uses one"
            )
        if batch_size < 2 * images_per_place * processes:
            raise UsageError(
                f"--batch_size {batch_size}: a metric loss compares places, so each process needs two places of "
                f"{images_per_place} images; raise it to {2 * images_per_place * processes}"
            )
        ClassSampler(batch_size, 1, 0, 0, processes, images_per_place)

    def sampler(self, batch_size: int, iterations: int, seed: int, rank: int = 0, processes: int = 1) -> ClassSampler:
        """Returns the sampler of the batches.

        Raises:
            UsageError: as `check` does, or if no group can fill a batch.
        """
        self.check(batch_size, processes, self.images_per_place)
        sampler = ClassSampler(batch_size, iterations, seed, rank, processes, self.images_per_place)
        sampler.set_epoch(self.groups, 0)
        if len(sampler.groups) < len(self.groups):
            logging.warning(
                f"{len(self.groups) - len(sampler.groups)} of {len(self.groups)} groups have fewer than "
                f"{sampler.classes} places and are not used; lower --batch_size, --N or --L"
            )
        return sampler

    def begin_epoch(self, epoch: int, device: torch.device) -> list[Group]:
        """Returns all groups: every epoch draws from all of them."""
        return self.groups

    def end_epoch(self) -> None:
        """Does nothing."""

    def loss(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of float32 descriptors (b, d) with the numbers of their places (b,)."""
        return self._loss(descriptors, labels)

    def state_dict(self) -> dict:
        """Returns the number of places of each group, which a resumed run must have too."""
        return {"places": [len(group) for group in self.groups]}

    def load_state_dict(self, state: dict) -> None:
        """Raises ValueError if the numbers of places differ from `state`."""
        if state["places"] != self.state_dict()["places"]:
            raise ValueError("the numbers of places in the groups differ")
