"""Checks of flags: street photos and aerial images."""

import argparse

import torch

from commons.errors import UsageError
from flags.region_checks import check_regions
from methods import METHODS
from model.backbones.building import check_backbone_name
from model.backbones.common import features_of_size
from model.two_towers import build_two_towers

MIRRORING = ("horizontal_flip",)  # the world in a mirror has no aerial image


def check_cross_view(args: argparse.Namespace) -> None:
    """Checks the flags of train.py for two towers, before a file is read.

    Raises:
        UsageError, ArgumentError: if a flag is out of range, or flags do not go together.
    """
    if METHODS[args.method].task != "cross_view":
        if not isinstance(args.image_size, int):
            size = " ".join(map(str, args.image_size))
            raise UsageError(f"--image_size {size}: training images of --method {args.method} are squares; give a side")
        return
    check_regions(args)
    for name in MIRRORING:
        if name in args.augmentations:
            raise UsageError(
                f"--augmentations {name} and --method {args.method} are in conflict: no aerial image shows the world "
                "in a mirror"
            )
    if args.aerial_backbone:
        check_backbone_name(args.aerial_backbone)
    if not args.resume_model:
        _check_towers(args)


def _check_towers(args: argparse.Namespace) -> None:
    """Builds the towers without numbers, and passes the aerial images of a place through them."""
    names = ("backbone", "fc_output_dim", "aggregation", "aggregation_options", "aerial_backbone", "shared_encoder",
             "levels", "cut_after", "num_trainable_blocks", "freeze")  # fmt: skip
    with torch.device("meta"):
        towers = build_two_towers(**{name: getattr(args, name) for name in names}).eval()
        aerial, size = towers.aerial, args.aerial_size
        features_of_size(aerial.features, aerial.backbone, args.aerial_backbone or args.backbone, size)
