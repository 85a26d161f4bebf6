"""Flags that say which network to build or to start from."""

import argparse

from flags import values
from model.aggregation import AGGREGATIONS
from model.backbones import BACKBONE_NAMES
from model.published import FAMILIES


def add_backbone(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--backbone", default="ResNet18", metavar="NAME", help=f"{', '.join(BACKBONE_NAMES)}, or timm:<name>"
    )
    group.add_argument(
        "--cut_after",
        metavar="BLOCK",
        help="end the backbone with this block, e.g. layer3 of a ResNet; "
            "python -m tools.inspect_network BACKBONE names them",
    )
    group.add_argument(
        "--aggregation", default="gem", metavar="NAME", help=f"what makes one descriptor: {', '.join(AGGREGATIONS)}"
    )
    group.add_argument(
        "--aggregation_options",
        type=values.pairs,
        default={},
        metavar="KEY=VALUE,...",
        help="options of the aggregation; train.py --help_aggregation NAME prints them",
    )
    group.add_argument(
        "--pretrained",
        default="imagenet",
        metavar="imagenet|none|FILE",
        help=(
            "the backbone's first weights: ImageNet's (for DINO its own), random ones, or those of a file (.pth or "
            ".safetensors)"
        ),
    )


def add_published(group: argparse._ArgumentGroup, use: str) -> None:
    group.add_argument(
        "--pretrained_model",
        metavar="NAME",
        help=(
            f"{use} a network with its authors' weights: {', '.join(FAMILIES)}; docs/published.md lists their variants"
        ),
    )
    group.add_argument(
        "--pretrained_model_file",
        metavar="FILE",
        help="the weights of --pretrained_model as its authors publish them, where they cannot be fetched",
    )
