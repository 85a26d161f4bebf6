"""Shared by methods with classes: the groups of the training images and the selected loss."""

from collections.abc import Callable
from typing import Any

from torch import nn

from commons.files import CACHE
from datasets.grouping import Group, make_groups
from datasets.places import Places
from losses.building import make_loss
from losses.matryoshka import check_prefixes


def make_classes(images: Places, settings: Any) -> list[Group]:
    """Returns the groups of classes of the training images.

    Args:
        images: training images with positions.
        settings: section `classes` of the settings of train.py.
    """
    grid = dict(M=settings.M, alpha=settings.alpha, N=settings.N, L=settings.L, groups_num=settings.groups_num)
    return make_groups(images, **grid, min_images_per_class=settings.min_images_per_class, cache=CACHE)


def chosen_loss(settings: Any, descriptor_dim: int) -> Callable[..., nn.Module]:
    """Returns a metric loss, or a function that builds a classification loss from (classes, descriptor_dim).

    Args:
        settings: section `method` of the settings of train.py.
        descriptor_dim: dimension of the descriptors.

    Raises:
        ArgumentError: if a prefix of `matryoshka` is not shorter than the descriptors.
    """
    check_prefixes(settings.matryoshka, descriptor_dim)
    own = settings.loss, settings.loss_options, settings.miner, settings.miner_options
    return make_loss(*own, settings.matryoshka)
