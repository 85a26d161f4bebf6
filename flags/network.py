"""Settings: which network to build or to start from, and which of its layers to train."""

from dataclasses import dataclass

from flags import values
from flags.settings import setting
from model.aggregation import AGGREGATIONS
from model.backbones import BACKBONE_NAMES
from model.published import FAMILIES

TOWERS = ("aerial_backbone", "shared_encoder", "levels")  # of flags.cross_view


def _explain_aggregation(name: str) -> str:
    from model.aggregation.options import aggregation_help

    return aggregation_help(name)


@dataclass(frozen=True)
class Architecture:
    """Network"""

    backbone: str = setting(
        "ResNet18", f"backbone: {', '.join(BACKBONE_NAMES)}, or timm:<name> for one of timm's", metavar="NAME"
    )
    cut_after: str | None = setting(
        None,
        "end the backbone after this block, e.g. layer3 of a ResNet; python -m tools.inspect_network BACKBONE names "
        "the blocks. For DINOv2, blocks.9.value (query, key) ends it with the values of this block's attention",
        metavar="BLOCK",
    )
    aggregation: str = setting(
        "gem", f"aggregation layer: {', '.join(AGGREGATIONS)}", metavar="NAME", explain=_explain_aggregation
    )
    aggregation_options: dict = setting(
        {},
        "options of the aggregation layer; python train.py --help_aggregation NAME lists them",
        values.pairs,
        metavar="KEY=VALUE,...",
        follows=("aggregation",),
    )
    fc_output_dim: int = setting(
        512,
        "dimension of the descriptor, the output of a last linear layer; 0 for no such layer. convap, mixvpr, salad "
        "and boq have no linear layer; their options set the dimension",
        values.natural,
    )
    pretrained: str = setting(
        "imagenet",
        "initial weights of the backbone: imagenet (for DINO its own weights), none (random weights), or a file (.pth, "
        ".safetensors)",
        metavar="imagenet|none|FILE",
    )


@dataclass(frozen=True)
class TrainNetwork(Architecture):
    """Network"""

    fc_init: str = setting(
        "random",
        "initial weights of the linear layer: random, or pca, a half-whitened PCA of the features of training images",
        choices=("random", "pca"),
    )
    train_all_layers: bool = setting(
        False, "train the whole backbone instead of its last layers", follows=("num_trainable_blocks", "freeze")
    )
    num_trainable_blocks: int | None = setting(
        None,
        "train only the last N stages or blocks of the backbone; by default, those that CosPlace trains",
        values.natural,
        metavar="N",
        follows=("train_all_layers", "freeze"),
    )
    freeze: list[str] | None = setting(
        None,
        "train the whole backbone except these blocks; python -m tools.inspect_network BACKBONE names the blocks",
        values.names,
        metavar="BLOCK,...",
        follows=("train_all_layers", "num_trainable_blocks"),
    )
    freeze_batch_norm: bool = setting(
        False, "do not update the running means and variances of batch normalization (CosPlace updates them)"
    )
    resume_model: str | None = setting(None, "start from the network of this checkpoint", metavar="FILE")
    pretrained_model: str | None = setting(
        None,
        f"start from a network with its authors' weights: {', '.join(FAMILIES)}; docs/published.md lists the variants",
        metavar="NAME",
    )
    pretrained_model_file: str | None = setting(
        None, "file with the weights of --pretrained_model, if they cannot be downloaded", metavar="FILE"
    )


@dataclass(frozen=True)
class EvalNetwork(Architecture):
    """Network"""

    resume_model: list[str] | None = setting(
        None,
        "checkpoint of train.py, file of tools.export, or state dict of the reference implementation; several files "
        "form an ensemble. Without this flag, the pretrained backbone is evaluated",
        metavar="FILE",
        nargs="+",
    )
    pretrained_model: str | None = setting(
        None,
        f"evaluate a network with its authors' weights: {', '.join(FAMILIES)}; docs/published.md lists the variants",
        metavar="NAME",
    )
    pretrained_model_file: str | None = setting(
        None, "file with the weights of --pretrained_model, if they cannot be downloaded", metavar="FILE"
    )
    fc_output_dim: int = setting(
        0,
        "without --resume_model: dimension of a random projection of the descriptors; 0 for no projection, or where "
        "the options of the aggregation layer set the dimension",
        values.natural,
    )
    first_dimensions: int = setting(
        0,
        "use the first D dimensions of the descriptors, for networks that were trained with --matryoshka; 0 for all",
        values.natural,
        metavar="D",
    )


def architecture_names() -> set[str]:
    """Returns the flags that say which network to build: a checkpoint knows all of them."""
    return {*Architecture.__dataclass_fields__, "fc_init", *TOWERS}
