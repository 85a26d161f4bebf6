"""Every flag, its default, its meaning and its checks. `python parser.py` prints them as docs/flags.md."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from commons.checkpoints import load_checkpoint
from commons.errors import PlacewiseError, UsageError
from commons.trackers import TRACKERS, check_trackers
from datasets.cell_parameters import check_parameters
from demo import SIZES as DEMO_SIZES
from flags import values
from flags.checks import (
    NETWORK_FLAGS,
    check,
    check_adaptation,
    check_exported,
    check_method,
    check_optimization,
    check_predictions,
    check_self_supervision,
    check_test_time,
)
from flags.config_files import with_config
from flags.evaluation import add_evaluation, add_queries_folder, add_test_time
from flags.network import add_backbone, add_published
from flags.parsers import HelpEntry, Parser, flags_given
from flags.run import add_run
from flags.training import (
    add_augmentation,
    add_classes,
    add_extras,
    add_method,
    add_optimization,
    method_defaults,
)
from methods import METHODS
from model.aggregation.options import describe_aggregation
from model.exported import is_exported

# What makes `--dataset_folder demo` a run of minutes on a laptop; flags on the command line still win.
DEMO_DEFAULTS = {
    "backbone": "EfficientNet_Lite0",
    "fc_output_dim": 256,
    "fc_init": "pca",
    "num_trainable_blocks": 1,
    "freeze_batch_norm": True,
    "image_size": 224,
    "resize_test_imgs": True,
    "epochs_num": 4,
    "iterations_per_epoch": 60,
    "batch_size": 32,
    "lr": 2e-4,
    "classifiers_lr": 3e-3,
    "color_jitter": "linear",
    "hue": 0.1,
    "test_untrained": True,
    "num_preds_to_save": 3,
}
# Flags that may stand beside --resume_train: they change where and how fast a run goes on, not what it computes.
RESUME_FLAGS = {
    "resume_train", "dataset_folder", "train_set_folder", "val_set_folder", "test_set_folder",
    "epochs_num", "device", "precision", "num_workers", "cache_images", "decode", "infer_batch_size",
    "num_preds_to_save", "save_only_wrong_preds", "index", "compile", "target_folder", "patience", "trackers",
}  # fmt: skip


def parse_train_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of train.py; with --resume_train they come from the checkpoint.

    Raises:
        UsageError: if a flag is out of range or flags are in conflict.
    """
    parser = train_parser()
    given = flags_given(parser, arguments)
    if given.get("resume_train"):
        return _resumed(parser, given)

    def set_defaults(given: dict) -> None:
        if given.get("method") in METHODS:
            own = METHODS[given["method"]].defaults
            if given.get("loss", own.get("loss")) != own.get("loss"):
                own = own | {"loss_options": {}}  # a method's options are those of its own loss
            parser.set_defaults(**own)
        if given.get("dataset_folder") in DEMO_SIZES:
            parser.set_defaults(**DEMO_DEFAULTS)

    set_defaults(given)
    arguments, given = with_config(parser, arguments, given, set_defaults)
    args = parser.parse_args(arguments)
    choices = ("train_all_layers", "num_trainable_blocks", "freeze")
    chosen = [name for name in choices if given.get(name) is not None and given[name] is not False]
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} are in conflict: choose one")
    if args.train_all_layers or args.freeze:
        args.num_trainable_blocks = None  # the demo's default
    check_method(args, given, parser.get_default("loss_options"))
    check_self_supervision(args, given)
    check_adaptation(args, given)
    check_optimization(args, given)
    check(args, given)
    check_parameters(args.M, args.alpha, args.N, args.L)
    check_predictions(args)
    check_trackers(args.trackers)
    if args.resume_model and is_exported(args.resume_model):
        raise UsageError(
            f"--resume_model {args.resume_model}: an exported network can be measured (eval.py), not trained; give the "
            "checkpoint that it was made from"
        )
    return args


def parse_eval_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of eval.py. `image_size` and `resize_test_imgs` are None where the checkpoint decides.

    Raises:
        UsageError: if a flag is out of range or flags are in conflict.
    """
    parser = eval_parser()
    arguments, given = with_config(parser, arguments, flags_given(parser, arguments))
    args = parser.parse_args(arguments)
    if args.image_size is not None and len(args.image_size) > 2:
        raise UsageError(f"--image_size {' '.join(map(str, args.image_size))}: give one number, or height and width")
    if args.image_size is not None and len(args.image_size) == 1:
        (args.image_size,) = args.image_size
    if args.image_size is not None and args.resize_test_imgs is False:
        raise UsageError(
            "--image_size and --no-resize_test_imgs are in conflict: one gives a size, the other keeps all"
        )
    if not (args.dataset_folder or args.test_set_folder or args.val_set_folder):
        raise UsageError("nothing to evaluate: give --dataset_folder or --test_set_folder")
    if args.adapt_batch_norm and not Path(args.adapt_batch_norm).is_dir():
        raise UsageError(f"--adapt_batch_norm {args.adapt_batch_norm}: there is no such folder")
    check_predictions(args)
    if args.save_only_wrong_preds and args.no_labels:
        raise UsageError(
            "--save_only_wrong_preds and --no_labels are in conflict: without positions none is known to be wrong"
        )
    check(args, given)
    check_test_time(args, given)
    check_exported(args)
    return args


def train_parser() -> argparse.ArgumentParser:
    """Returns the parser of train.py."""
    parser = Parser(prog="train.py", description="Train a network for visual place recognition.")
    data = parser.add_argument_group("data")
    data.add_argument(
        "--dataset_folder",
        metavar="DIR",
        help=(
            "folder with train/, val/ and test/ inside, or `demo` or `demo-large` for a procedural city made at "
            "first use"
        ),
    )
    data.add_argument("--train_set_folder", metavar="DIR", help="training images, instead of dataset_folder/train")
    data.add_argument(
        "--val_set_folder", metavar="DIR", help="validation set (database/ and queries/), instead of dataset_folder/val"
    )
    data.add_argument(
        "--test_set_folder", metavar="DIR", help="test set (database/ and queries*/), instead of dataset_folder/test"
    )
    add_queries_folder(data)
    add_classes(parser).add_argument(
        "--groups_num", type=values.natural, default=8, help="number of groups, 0 for all; epochs take them in turn"
    )
    network = parser.add_argument_group("network")
    add_backbone(network)
    network.add_argument(
        "--fc_output_dim",
        type=values.natural,
        default=512,
        help=(
            "dimension of the descriptor, given by a last linear layer; 0 for no such layer; where the aggregation has "
            "none (convap, mixvpr, salad, boq), its options give the dimension"
        ),
    )
    network.add_argument(
        "--help_aggregation",
        dest="help",  # like --help it is no setting, and stands in no configuration
        action=HelpEntry,
        describe=describe_aggregation,
        help="print an aggregation's paper, formula, options and dimension, and end",
    )
    network.add_argument(
        "--fc_init",
        choices=["random", "pca"],
        default="random",
        help=("start of the linear layer: random, or a PCA with half whitening of the training images' features"),
    )
    network.add_argument(
        "--train_all_layers", action="store_true", help="train the whole backbone instead of its last layers"
    )
    network.add_argument(
        "--num_trainable_blocks",
        type=values.natural,
        metavar="N",
        help="train only the last N stages or blocks of the backbone; by default those that CosPlace trains",
    )
    network.add_argument(
        "--freeze",
        type=values.names,
        metavar="BLOCK,...",
        help="train the whole backbone but these blocks; python -m tools.inspect_network BACKBONE names them",
    )
    network.add_argument(
        "--freeze_batch_norm",
        action="store_true",
        help=(
            "keep the means and variances of normalisation layers as they are (the reference implementation "
            "updates them)"
        ),
    )
    network.add_argument("--resume_model", metavar="FILE", help="start from the network of this checkpoint")
    add_method(parser)
    add_published(network, "start from")
    add_extras(parser)
    training = parser.add_argument_group("training")
    training.add_argument("--epochs_num", type=values.natural, default=50, help="number of epochs")
    training.add_argument("--iterations_per_epoch", type=values.positive, default=10000, help="batches in an epoch")
    training.add_argument(
        "--batch_size", type=values.positive, default=32, help="images in a batch, over all processes together"
    )
    training.add_argument("--lr", type=values.positive_float, default=1e-5, help="learning rate of the network")
    training.add_argument(
        "--classifiers_lr", type=values.positive_float, default=1e-2, help="Adam's learning rate for the classifiers"
    )
    training.add_argument(
        "--image_size", type=values.positive, default=512, help="side of the square training images in pixels"
    )
    training.add_argument(
        "--resume_train", metavar="FILE", help="go on with the run of this last_checkpoint.pth; needs no other flag"
    )
    training.add_argument("--test_untrained", action="store_true", help="also evaluate on the test set before training")
    add_optimization(parser)
    add_augmentation(parser)
    add_evaluation(parser)
    group = add_run(parser)
    group.add_argument(
        "--trackers",
        type=values.names,
        default="tensorboard",
        metavar="NAME,...",
        help=f"where else the figures of each epoch go: {', '.join(TRACKERS)}, or none; W&B needs `pip install wandb`",
    )
    group.add_argument(
        "--cache_images",
        choices=["none", "ram", "disk"],
        default="none",
        help=(
            "keep training and validation images together in memory, or in one file in cache/: for disks that are "
            "slow with many small files"
        ),
    )
    group.add_argument(
        "--decode",
        choices=["auto", "cpu", "gpu"],
        default="auto",
        help=(
            "on a GPU, decode training images in the workers or with nvJPEG; auto times both at the start. Their "
            "pixels differ by rounding"
        ),
    )
    return parser


def eval_parser() -> argparse.ArgumentParser:
    """Returns the parser of eval.py."""
    parser = Parser(prog="eval.py", description="Measure how often a network finds the right place.")
    data = parser.add_argument_group("data")
    data.add_argument(
        "--dataset_folder",
        metavar="DIR",
        nargs="+",
        default=[],
        help=(
            "one or more folders with val/ and test/ inside, or with database/ and queries/ themselves; `demo` "
            "for the demo city"
        ),
    )
    data.add_argument("--val_set_folder", metavar="DIR", help="validation set, instead of dataset_folder/val")
    data.add_argument(
        "--test_set_folder", metavar="DIR", nargs="+", default=[], help="test sets, instead of dataset_folder/test"
    )
    add_queries_folder(data)
    data.add_argument("--no_labels", action="store_true", help="queries and database have no positions: only predict")
    network = parser.add_argument_group("network")
    network.add_argument(
        "--resume_model",
        metavar="FILE",
        nargs="+",
        help=(
            "checkpoint of train.py, file of model.export, or a state dict of the reference implementation; several "
            "are an ensemble; without it the pretrained backbone is measured"
        ),
    )
    add_published(network, "measure")
    add_backbone(network)
    network.add_argument(
        "--fc_output_dim",
        type=values.natural,
        default=0,
        help=(
            "without --resume_model: dimension of a random projection; 0 for none, or where the aggregation's options "
            "give the dimension"
        ),
    )
    network.add_argument(
        "--image_size",
        type=values.positive,
        nargs="+",
        metavar="N",
        help=(
            "resize the shorter side of test images to this, or with two numbers all of them to this height and width; "
            "by default as in training"
        ),
    )
    evaluation = add_evaluation(parser, default_resize=None)
    evaluation.add_argument(
        "--save_descriptors", action="store_true", help="write descriptors (.npy, float32) and image paths"
    )
    evaluation.add_argument(
        "--adapt_batch_norm",
        metavar="DIR",
        help="replace the statistics of batch normalisation by those of a folder's images; with the test queries the "
        "result is transductive",
    )
    add_test_time(parser)
    add_run(parser)
    return parser


def training_defaults() -> dict[str, object]:
    """Returns the defaults of train.py's flags."""
    return vars(train_parser().parse_args([]))


def configuration(args: argparse.Namespace) -> dict[str, object]:
    """Returns the flags that config.yaml keeps: all that another run can take back with --config."""
    without = {"config", "resume_train", "output_folder", *(NETWORK_FLAGS if args.resume_model else ())}
    if vars(args).get("loss") == "none":
        without |= {"loss", "miner"}
    return {name: value for name, value in vars(args).items() if name not in without}


def unlike_defaults(parser: argparse.ArgumentParser, args: argparse.Namespace) -> dict[str, object]:
    """Returns the flags whose values are not the parser's defaults."""
    defaults = vars(parser.parse_args([]))
    return {name: value for name, value in vars(args).items() if value != defaults.get(name)}


def _resumed(parser: argparse.ArgumentParser, given: dict) -> argparse.Namespace:
    """The configuration of the run to go on with, and the few flags that may differ."""
    extra = sorted(set(given) - RESUME_FLAGS)
    if extra:
        raise UsageError(
            f"--{extra[0]} and --resume_train are in conflict: the run goes on with the configuration it began with"
        )
    path = Path(given["resume_train"])
    checkpoint = load_checkpoint(path)
    if "position" not in checkpoint:
        raise PlacewiseError(
            f"--resume_train {path}: not a last_checkpoint.pth; start from its network with --resume_model"
        )
    known = vars(parser.parse_args([])) | {"miner": "none"}
    config = dict(checkpoint["config"])
    if "target_folder" in given and not config.get("adaptation"):
        raise UsageError("--target_folder: the run that --resume_train goes on with adapts to no images")
    if "dataset_folder" in given:
        config |= dict.fromkeys(("train_set_folder", "val_set_folder", "test_set_folder"))
    args = argparse.Namespace(**known | config | given | {"output_folder": str(path.parent)})
    check_predictions(args)
    check_trackers(args.trackers)
    return args


def flags_markdown(parser: argparse.ArgumentParser) -> str:
    """Returns a table of all flags with defaults and meanings."""
    lines = ["| flag | default | meaning |", "|---|---|---|"]
    for group in parser._action_groups[2:]:
        lines.append(f"| **{group.title}** | | |")
        for action in group._group_actions:
            unset = action.default is None or action.default is False or action.default in ([], {}, argparse.SUPPRESS)
            plain = unset or action.const == "auto"
            default = "" if plain else f"`{action.default}`"
            if action.dest == "num_workers":
                default = "cores, at most 8"
            choices = f" ({', '.join(map(str, action.choices))})" if action.choices else ""
            meaning = f"{action.help}{choices}".replace("|", "\\|")
            lines.append(f"| `{action.option_strings[0]}` | {default} | {meaning} |")
    return "\n".join(lines)


def flags_page() -> str:
    """Returns docs/flags.md."""
    demo = ", ".join(f"`--{name}`" if value is True else f"`--{name} {value}`" for name, value in DEMO_DEFAULTS.items())
    methods = [
        f"`--method {name}` {', '.join(f'`{flag}`' for flag in method_defaults(kind))}"
        for name, kind in METHODS.items()
        if kind.defaults
    ]
    return "\n\n".join(
        [
            "# All flags",
            "`python parser.py > docs/flags.md` writes this page.",
            f"`--dataset_folder demo` has its own defaults, so that the run takes minutes: {demo}.",
            f"So have methods: {'; '.join(methods)}.",
            "## train.py",
            flags_markdown(train_parser()),
            "## eval.py",
            flags_markdown(eval_parser()),
        ]
    )


if __name__ == "__main__":
    print(flags_page())
