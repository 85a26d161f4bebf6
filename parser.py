"""Every flag, its default, its meaning and its checks. `python parser.py` prints them as the README's tables."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from augmentations import COLOR_JITTERS
from commons.checkpoints import load_checkpoint
from commons.errors import PlacewiseError, UsageError
from datasets.demo import SIZES as DEMO_SIZES
from datasets.grouping import check_parameters
from model.aggregation import AGGREGATIONS
from model.aggregation.options import check_aggregation_name, describe_aggregation, own_dimension, read_options
from model.backbones import BACKBONE_NAMES, check_backbone_name
from model.export import FORMATS
from model.exported import is_exported
from model.network import check_network
from retrieval.index import INDICES

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
    "num_preds_to_save", "save_only_wrong_preds", "index",
}  # fmt: skip


def parse_train_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of train.py; with --resume_train they come from the checkpoint.

    Raises:
        UsageError: if a flag is out of range or flags are in conflict.
    """
    parser = train_parser()
    given = _given(parser, arguments)
    if given.get("resume_train"):
        return _resumed(parser, given)
    if given.get("dataset_folder") in DEMO_SIZES:
        parser.set_defaults(**DEMO_DEFAULTS)
    args = parser.parse_args(arguments)
    _check(args, given)
    check_parameters(args.M, args.alpha, args.N, args.L)
    if "train_all_layers" in given and "num_trainable_blocks" in given:
        raise UsageError("--train_all_layers and --num_trainable_blocks are in conflict: choose one")
    _check_predictions(args)
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
    given = _given(parser, arguments)
    args = parser.parse_args(arguments)
    if not (args.dataset_folder or args.test_set_folder or args.val_set_folder):
        raise UsageError("nothing to evaluate: give --dataset_folder or --test_set_folder")
    _check_predictions(args)
    if args.save_only_wrong_preds and args.no_labels:
        raise UsageError(
            "--save_only_wrong_preds and --no_labels are in conflict: without positions none is known to be wrong"
        )
    _check(args, given)
    return args


def train_parser() -> argparse.ArgumentParser:
    """Returns the parser of train.py."""
    parser = _Parser(prog="train.py", description="Train a network with CosPlace.")
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
    _add_queries_folder(data)
    _add_classes(parser).add_argument(
        "--groups_num", type=_positive, default=8, help="number of groups; epochs take them in turn"
    )
    network = parser.add_argument_group("network")
    _add_backbone(network)
    network.add_argument(
        "--fc_output_dim",
        type=_natural,
        default=512,
        help=(
            "dimension of the descriptor, given by a last linear layer; 0 for no such layer; where the aggregation has "
            "none (convap, mixvpr, salad, boq), its options give the dimension"
        ),
    )
    network.add_argument(
        "--help_aggregation",
        dest="help",  # like --help it is no setting, and stands in no configuration
        action=_HelpAggregation,
        metavar="NAME",
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
        type=_natural,
        metavar="N",
        help="train only the last N stages or blocks of the backbone; by default those that CosPlace trains",
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
    training = parser.add_argument_group("training")
    training.add_argument("--epochs_num", type=_natural, default=50, help="number of epochs")
    training.add_argument("--iterations_per_epoch", type=_positive, default=10000, help="batches in an epoch")
    training.add_argument(
        "--batch_size", type=_positive, default=32, help="images in a batch, over all processes together"
    )
    training.add_argument("--lr", type=_positive_float, default=1e-5, help="Adam's learning rate for the network")
    training.add_argument(
        "--classifiers_lr", type=_positive_float, default=1e-2, help="Adam's learning rate for the classifiers"
    )
    training.add_argument(
        "--image_size", type=_positive, default=512, help="side of the square training images in pixels"
    )
    training.add_argument(
        "--resume_train", metavar="FILE", help="go on with the run of this last_checkpoint.pth; needs no other flag"
    )
    training.add_argument("--test_untrained", action="store_true", help="also evaluate on the test set before training")
    augmentation = parser.add_argument_group("augmentation")
    for name, default in (("brightness", 0.7), ("contrast", 0.7), ("saturation", 0.7)):
        augmentation.add_argument(
            f"--{name}", type=_natural_float, default=default, help=f"{name} factors are drawn from 1 +- this"
        )
    augmentation.add_argument(
        "--hue",
        type=_natural_float,
        default=0.5,
        help="hue shifts are drawn from +- this share of the circle, at most 0.5",
    )
    augmentation.add_argument(
        "--random_resized_crop", type=_natural_float, default=0.5, help="crops keep at least 1 minus this of the area"
    )
    augmentation.add_argument(
        "--color_jitter",
        choices=list(COLOR_JITTERS),
        default="exact",
        help=(
            "exact, or linear: one colour matrix an image, several times faster, clips once and turns the hue in YIQ"
        ),
    )
    _add_evaluation(parser)
    group = _add_run(parser)
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
            "decode training images in the workers or with nvJPEG; auto times both at the start. Their pixels differ "
            "by rounding"
        ),
    )
    return parser


def eval_parser() -> argparse.ArgumentParser:
    """Returns the parser of eval.py."""
    parser = _Parser(prog="eval.py", description="Measure how often a network finds the right place.")
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
    _add_queries_folder(data)
    data.add_argument("--no_labels", action="store_true", help="queries and database have no positions: only predict")
    network = parser.add_argument_group("network")
    network.add_argument(
        "--resume_model",
        metavar="FILE",
        help=(
            "checkpoint of train.py, file of model.export, or a state dict of the reference implementation; without it "
            "the pretrained backbone is measured"
        ),
    )
    _add_backbone(network)
    network.add_argument(
        "--fc_output_dim",
        type=_natural,
        default=0,
        help=(
            "without --resume_model: dimension of a random projection; 0 for none, or where the aggregation's options "
            "give the dimension"
        ),
    )
    network.add_argument(
        "--image_size", type=_positive, help="resize the shorter side of test images to this; by default as in training"
    )
    evaluation = _add_evaluation(parser, default_resize=None)
    evaluation.add_argument(
        "--save_descriptors", action="store_true", help="write descriptors (.npy, float32) and image paths"
    )
    _add_run(parser)
    return parser


def describe_parser() -> argparse.ArgumentParser:
    """Returns the parser of datasets.describe."""
    parser = _Parser(prog="-m datasets.describe", description="Print and draw what is in a data set.")
    parser.add_argument(
        "dataset_folder", metavar="DIR", help="folder with train/, val/ and test/ inside, or with images"
    )
    parser.add_argument(
        "--output", metavar="FILE", help="the picture; by default <name of DIR>.png in the working folder"
    )
    _add_classes(parser)
    return parser


def parse_describe_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of datasets.describe."""
    args = describe_parser().parse_args(arguments)
    check_parameters(args.M, args.alpha, args.N, args.L)
    return args


def soup_parser() -> argparse.ArgumentParser:
    """Returns the parser of model.soup."""
    parser = _Parser(prog="-m model.soup", description="Average the weights of several networks into one.")
    parser.add_argument("checkpoints", metavar="FILE", nargs="+", help="two or more best_model.pth of the same network")
    parser.add_argument(
        "--method",
        choices=["uniform", "greedy"],
        default="uniform",
        help="average all, or, best first, those that do not lower the recall on the validation set",
    )
    parser.add_argument("--output", metavar="FILE", default="soup.pth", help="the soup, a checkpoint like the others")
    parser.add_argument(
        "--dataset_folder",
        metavar="DIR",
        help="measure members and soup on the val/ in it; greedy needs this or the next",
    )
    parser.add_argument("--val_set_folder", metavar="DIR", help="validation set (database/ and queries/)")
    _add_queries_folder(parser)
    parser.add_argument(
        "--image_size", type=_positive, help="resize the shorter side of images to this; by default as in training"
    )
    _add_measuring(parser, default_resize=None)
    _add_device(parser)
    return parser


def parse_soup_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of model.soup.

    Raises:
        UsageError: if there is one checkpoint only or nothing to choose members by.
    """
    args = soup_parser().parse_args(arguments)
    if len(args.checkpoints) < 2:
        raise UsageError(f"{args.checkpoints[0]} alone is no soup: name two or more checkpoints")
    if args.method == "greedy" and not (args.dataset_folder or args.val_set_folder):
        raise UsageError("--method greedy chooses by recall: give --dataset_folder or --val_set_folder")
    _check_files([*args.checkpoints])
    if Path(args.output).resolve() in [Path(name).resolve() for name in args.checkpoints]:
        raise UsageError(f"--output {args.output}: would overwrite a member")
    return args


def export_parser() -> argparse.ArgumentParser:
    """Returns the parser of model.export."""
    parser = _Parser(prog="-m model.export", description="Write a network for other programs.")
    parser.add_argument(
        "checkpoint", metavar="FILE", help="best_model.pth, or a state dict of the reference implementation"
    )
    parser.add_argument("--format", choices=list(FORMATS), required=True, help="what to write")
    parser.add_argument("--output", metavar="FILE", help="by default beside the checkpoint, with the format's suffix")
    parser.add_argument(
        "--int8",
        action="store_true",
        help="with --format onnx: weights and activations of convolutions and matrix products in 8 bits",
    )
    parser.add_argument(
        "--calibration_folder",
        metavar="DIR",
        help="with --int8: images like those to come, e.g. the training set; 128 of them give the activations' ranges",
    )
    return parser


def parse_export_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of model.export.

    Raises:
        UsageError: if flags are in conflict or a file is missing or of the wrong kind.
    """
    args = export_parser().parse_args(arguments)
    _check_files([args.checkpoint])
    if args.int8 and args.format != "onnx":
        raise UsageError(f"--int8 and --format {args.format} are in conflict: 8 bits come with --format onnx")
    if args.int8 != bool(args.calibration_folder):
        raise UsageError("--int8 and --calibration_folder go together")
    if args.calibration_folder and not Path(args.calibration_folder).is_dir():
        raise UsageError(f"--calibration_folder {args.calibration_folder}: there is no such folder")
    if args.output is None:
        args.output = str(Path(args.checkpoint).with_suffix("")) + "_int8" * args.int8 + FORMATS[args.format]
    elif Path(args.output).suffix != FORMATS[args.format]:
        raise UsageError(f"--output {args.output}: must end in {FORMATS[args.format]}")
    if Path(args.output).resolve() == Path(args.checkpoint).resolve():
        raise UsageError(f"--output {args.output}: would overwrite the checkpoint")
    return args


def _check_files(names: list[str]) -> None:
    for name in names:
        if not Path(name).is_file():
            raise UsageError(f"{name}: there is no such file")
        if is_exported(name):
            raise UsageError(f"{name}: is exported already; give the checkpoint that it was made from")


def _add_classes(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    classes = parser.add_argument_group("classes and groups")
    classes.add_argument("--M", type=_positive, default=10, help="side of a class's cell in metres")
    classes.add_argument(
        "--alpha", type=_positive, default=30, help="degrees of heading in a class; 360 to ignore headings"
    )
    classes.add_argument("--N", type=_positive, default=5, help="classes of one group lie N cells apart")
    classes.add_argument("--L", type=_positive, default=2, help="classes of one group lie L headings apart")
    classes.add_argument(
        "--min_images_per_class", type=_positive, default=10, help="classes with fewer images are left out"
    )
    return classes


def _add_queries_folder(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--queries_folder", metavar="NAME", help="which queries of a test set, where it has several, e.g. queries_v1"
    )


def _add_backbone(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--backbone", default="ResNet18", metavar="NAME", help=f"{', '.join(BACKBONE_NAMES)}, or timm:<name>"
    )
    group.add_argument(
        "--aggregation", default="gem", metavar="NAME", help=f"what makes one descriptor: {', '.join(AGGREGATIONS)}"
    )
    group.add_argument(
        "--aggregation_options",
        type=_pairs,
        default={},
        metavar="KEY=VALUE,...",
        help="options of the aggregation; train.py --help_aggregation NAME prints them",
    )
    group.add_argument(
        "--pretrained",
        default="imagenet",
        metavar="imagenet|none|FILE",
        help=("the backbone's first weights: ImageNet's, random ones, or those of a file"),
    )


def _add_measuring(group: argparse._ActionsContainer, default_resize: bool | None) -> None:
    group.add_argument(
        "--resize_test_imgs",
        action=argparse.BooleanOptionalAction,
        default=default_resize,
        help="resize the shorter side of validation and test images to image_size, keeping the aspect ratio",
    )
    group.add_argument("--infer_batch_size", type=_positive, default=16, help="images in a batch of evaluation")
    group.add_argument(
        "--positive_dist_threshold",
        type=_positive_float,
        default=25.0,
        help="metres within which a prediction is right",
    )


def _add_evaluation(parser: argparse.ArgumentParser, default_resize: bool | None = False) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("evaluation")
    _add_measuring(group, default_resize)
    group.add_argument(
        "--index",
        choices=list(INDICES),
        default="flat",
        help=(
            "exact search, or approximate search for millions of images: hnsw is fast, ivfpq keeps the descriptors on "
            "disk and 72 bytes an image in memory"
        ),
    )
    group.add_argument(
        "--num_preds_to_save",
        type=_natural,
        default=0,
        metavar="N",
        help=("write a picture of each query with its first N predictions, and a page to look through them"),
    )
    group.add_argument(
        "--save_only_wrong_preds", action="store_true", help="only pictures of queries whose first prediction is wrong"
    )
    return group


def _add_run(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("run")
    group.add_argument(
        "--save_dir", default="default", metavar="NAME", help="the run's folder is logs/<save_dir>/<date_time>"
    )
    group.add_argument("--output_folder", metavar="DIR", help="the run's folder, exactly")
    _add_device(group)
    group.add_argument("--seed", type=_seed, default=0, help="seed of every random draw")
    return group


def _add_device(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--device", choices=["auto", "cuda", "cpu", "mps"], default="auto", help="auto takes a GPU where there is one"
    )
    group.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16", "fp16"],
        default="auto",
        help=("auto takes bf16 where the device computes this network fast in it, fp16 on older GPUs, else fp32"),
    )
    group.add_argument(
        "--use_amp16", dest="precision", action="store_const", const="auto", help="the same as --precision auto"
    )
    group.add_argument(
        "--num_workers", type=_natural, default=_cores(), help="processes that decode images, for each training process"
    )


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options: object) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter, **options)

    def error(self, message: str) -> None:
        raise UsageError(f"{message} (see python {self.prog} --help)")


class _HelpAggregation(argparse.Action):
    def __init__(self, **options: object) -> None:
        super().__init__(default=argparse.SUPPRESS, **options)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: str, option: str | None = None
    ) -> None:
        print(describe_aggregation(values))
        parser.exit()


def _pairs(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(key and value for key, _, value in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form key=value,key=value")
    return {key.strip(): value.strip() for key, _, value in pairs}


def _cores() -> int:
    """This process's share of the cores, at most 8; torchrun and accelerate launch say how many processes there are."""
    return max(1, min(8, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))


def _positive(text: str) -> int:
    return int(_at_least(text, int, 1))


def _natural(text: str) -> int:
    return int(_at_least(text, int, 0))


def _seed(text: str) -> int:
    if _natural(text) >= 2**32:
        raise argparse.ArgumentTypeError("must be below 2^32")
    return int(text)


def _natural_float(text: str) -> float:
    return _at_least(text, float, 0)


def _positive_float(text: str) -> float:
    value = _at_least(text, float, 0)
    if value == 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _at_least(text: str, kind: type, least: int) -> float:
    try:
        value = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {'a whole number' if kind is int else 'a number'}") from None
    if not least <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is out of range, must be {least} or more")
    return value


def _given(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> dict:
    """The flags that stand on the command line, without defaults."""
    defaults = [action.default for action in parser._actions]
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    given = vars(parser.parse_args(arguments))
    for action, default in zip(parser._actions, defaults, strict=True):
        action.default = default
    return given


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
    known = {action.dest: action.default for action in parser._actions if action.dest != "help"}
    config = dict(checkpoint["config"])
    if "dataset_folder" in given:
        config |= dict.fromkeys(("train_set_folder", "val_set_folder", "test_set_folder"))
    args = argparse.Namespace(**known | config | given | {"output_folder": str(path.parent)})
    _check_predictions(args)
    return args


def _check_predictions(args: argparse.Namespace) -> None:
    if args.save_only_wrong_preds and not args.num_preds_to_save:
        raise UsageError("--save_only_wrong_preds needs --num_preds_to_save")


def _check(args: argparse.Namespace, given: dict) -> None:
    if not args.resume_model:
        _check_network(args, given)
    elif not Path(args.resume_model).is_file():
        raise UsageError(f"--resume_model {args.resume_model}: there is no such file")
    for name in ("backbone", "aggregation", "aggregation_options", "fc_output_dim", "fc_init", "pretrained"):
        if args.resume_model and name in given:
            raise UsageError(f"--{name} and --resume_model are in conflict: the checkpoint says what the network is")
    if getattr(args, "hue", 0) > 0.5:
        raise UsageError(f"--hue {args.hue}: at most 0.5, half the colour circle")
    if getattr(args, "random_resized_crop", 0) >= 1:
        raise UsageError(f"--random_resized_crop {args.random_resized_crop}: must be below 1")


def _check_network(args: argparse.Namespace, given: dict) -> None:
    """Checks what says which network to build, and puts the aggregation's own defaults where nothing was given."""
    check_backbone_name(args.backbone)
    check_aggregation_name(args.aggregation)
    if args.pretrained not in ("imagenet", "none") and not Path(args.pretrained).is_file():
        raise UsageError(f"--pretrained {args.pretrained}: neither imagenet nor none nor a file")
    args.aggregation_options = read_options(args.aggregation, args.aggregation_options)
    own = own_dimension(args.aggregation)
    wanted = 0 if own and "fc_output_dim" not in given else args.fc_output_dim
    dimension = check_network(args.backbone, wanted, args.aggregation, args.aggregation_options, args.image_size)
    args.fc_output_dim = dimension if own else wanted
    if getattr(args, "fc_init", "random") == "pca" and not (
        wanted and hasattr(AGGREGATIONS[args.aggregation], "pooling")
    ):
        if "fc_init" in given:
            raise UsageError(
                "--fc_init pca: needs a linear layer after pooling, so --fc_output_dim above 0 and --aggregation "
                "gem, avg, max, rmac, attention or cls"
            )
        args.fc_init = "random"


def flags_markdown(parser: argparse.ArgumentParser) -> str:
    """Returns a table of all flags with defaults and meanings, for the README."""
    lines = ["| flag | default | meaning |", "|---|---|---|"]
    for group in parser._action_groups[2:]:
        lines.append(f"| **{group.title}** | | |")
        for action in group._group_actions:
            unset = action.default is None or action.default is False or action.default in ([], {}, argparse.SUPPRESS)
            plain = unset or action.const == "auto"
            default = "" if plain else f"`{action.default}`"
            if action.dest == "num_workers":
                default = "cores, at most 8"
            meaning = str(action.help).replace("|", "\\|")
            lines.append(f"| `{action.option_strings[0]}` | {default} | {meaning} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print("### train.py\n")
    print(flags_markdown(train_parser()))
    print("\n### eval.py\n")
    print(flags_markdown(eval_parser()))
    sys.exit(0)
