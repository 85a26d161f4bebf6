"""EigenPlaces: classes of lateral and of frontal views of one point."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from commons.errors import UsageError
from datasets.grouping import Group
from datasets.places import Places
from datasets.samplers import PairedSampler
from datasets.views import is_panorama, view_group
from losses import CLASSIFICATION
from methods.classes import chosen_loss, make_classes
from methods.classifiers import ClassifierPerGroup

SIDES = ("lateral", "frontal")


class EigenPlaces(ClassifierPerGroup):
    """Classes of images that show one point from different positions (https://arxiv.org/abs/2308.10832).

    The positions of a cell of M metres have a mean mu and two principal directions (singular vectors), v1 along the
    street and v2 across it. Each cell gives two classes: views of the point mu + focal_lat v2 (lateral) and views of
    the point mu + focal_front v1 (frontal). Half of the images of a batch belong to lateral classes and half to frontal
    classes, with one image per class. Each half has its own classifier:

        loss = lambda_lat loss_lat + lambda_front loss_front

    From panoramas (at least four times as wide as high), the window around the view is cut out. From crops with
    headings, the crop of each position whose centre is nearest to the view is used, if it is within the tolerance.
    """

    task = "place_recognition"
    labelled = own_loss = True
    losses = CLASSIFICATION
    batches = "a batch of eigenplaces has one image per place"
    defaults: dict[str, object] = {
        "M": 15,
        "alpha": 360,
        "N": 3,
        "L": 1,
        "min_images_per_class": 5,
        "groups_num": 0,
        "batch_size": 64,
        "epochs_num": 40,
        "iterations_per_epoch": 5000,
        "loss": "cosface",
        "loss_options": {"s": "100"},
    }
    conflicts = {"alpha": "a cell holds all headings", "L": "a cell holds all headings"}

    def __init__(
        self,
        groups: list[Group],
        loss: Callable[[int, int], nn.Module],
        descriptor_dim: int,
        classifiers_lr: float,
        places: Places,
        min_images_per_class: int,
        *,
        lambda_lat: float = 1.0,
        lambda_front: float = 1.0,
        focal_lat: float = 10.0,
        focal_front: float = 10.0,
        tolerance: float = 30.0,
        heading_offset: float = 0.0,
    ) -> None:
        """Args:
            groups: groups of cells, which depend on the position only.
            loss: builds a classification loss from (classes, descriptor_dim).
            descriptor_dim: dimension of the descriptors.
            classifiers_lr: learning rate of Adam for the classifiers.
            places: the training images.
            min_images_per_class: classes of views with fewer images are not used.
            lambda_lat: weight of the loss of lateral views.
            lambda_front: weight of the loss of frontal views.
            focal_lat: distance in metres from the mean position of a cell to the point of the lateral views.
            focal_front: distance in metres from the mean position of a cell to the point of the frontal views.
            tolerance: maximum angle in degrees between the centre of a crop and the view; not used for panoramas.
            heading_offset: clockwise angle in degrees from the heading of a crop to its centre; 0 if they are the same.

        Raises:
            UsageError: if no class is left.
            PlacewiseError: if an image has no heading.
        """
        panoramas = is_panorama(places.path(groups[0].images[0]))
        cut = {"panoramas": panoramas, "tolerance": tolerance, "heading_offset": heading_offset}
        views = [
            [
                view_group(places, group, frontal, distance, min_images_per_class, **cut)
                for frontal, distance in ((False, focal_lat), (True, focal_front))
            ]
            for group in groups
        ]
        for pair in views:
            for side, group in zip(SIDES, pair, strict=True):
                _check_views(side, group, min_images_per_class, tolerance)
        for number, side in enumerate(SIDES):
            classes, images = (sum(count(pair[number]) for pair in views) for count in (len, lambda g: len(g.images)))
            kind = "panoramas" if panoramas else "crops"
            logging.info(f"Views: {classes} {side} classes with {images} {kind} in {len(views)} groups")
        classifiers = [nn.ModuleList([loss(len(group), descriptor_dim) for group in pair]) for pair in views]
        super().__init__(views, classifiers, classifiers_lr)
        self.weights = (lambda_lat, lambda_front)

    @classmethod
    def build(cls, settings: Any, images: Places, descriptor_dim: int, task: Any) -> "EigenPlaces":
        """Builds the method from the settings of train.py and the training images."""
        return cls(
            make_classes(images, settings.classes),
            chosen_loss(settings.method, descriptor_dim),
            descriptor_dim,
            settings.training.classifiers_lr,
            images,
            settings.classes.min_images_per_class,
            **settings.method.method_options,
        )

    @staticmethod
    def check(
        batch_size: int, processes: int = 1, lambda_lat: float = 1.0, lambda_front: float = 1.0, **_: float
    ) -> None:
        """Raises UsageError if both weights are 0, or the processes cannot share both halves of the batch equally."""
        if lambda_lat == lambda_front == 0:
            raise UsageError(
                "--method_options lambda_lat=0,lambda_front=0: nothing would be trained; set one of them above 0"
            )
        PairedSampler(batch_size, 1, 0, 0, processes)

    def sampler(self, batch_size: int, iterations: int, seed: int, rank: int = 0, processes: int = 1) -> PairedSampler:
        """Returns the sampler of the batches.

        Raises:
            UsageError: if a group cannot fill half a batch.
        """
        sampler = PairedSampler(batch_size, iterations, seed, rank, processes)
        sampler.set_epoch(min(self.groups, key=lambda pair: min(map(len, pair))), 0)
        return sampler

    def loss(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of float32 descriptors (b, d).

        Args:
            descriptors: descriptors of lateral and frontal views.
            labels: (b,) class numbers; the frontal classes are numbered after the lateral ones.
        """
        lateral_classes = len(self.groups[self.current][0])
        frontal = labels >= lateral_classes
        sides = zip(self.weights, self.classifier, (~frontal, frontal), (0, lateral_classes), strict=True)
        loss = descriptors.new_zeros(())
        for weight, classifier, mine, first in sides:
            if mine.any():
                loss = loss + weight * classifier(descriptors[mine], labels[mine] - first)
            else:  # all its images are damaged, but the processes average its gradient
                loss = loss + 0 * sum(parameter.sum() for parameter in classifier.parameters())
        return loss


def _check_views(side: str, group: Group, min_images_per_class: int, tolerance: float) -> None:
    if not len(group):
        raise UsageError(
            f"group {group.group_id}: no cell has {min_images_per_class} {side} views within {tolerance:g} degrees; "
            "lower --min_images_per_class, raise --M, or raise tolerance in --method_options"
        )
