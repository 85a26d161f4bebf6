"""Every flag, its default, its meaning and its checks. `python parser.py` prints them as docs/flags.md."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import torch

from adaptation import ADAPTATIONS, DESCRIPTOR_ADAPTATIONS
from adaptation.options import describe_adaptation, read_adaptations
from augmentations import AUGMENTATIONS, COLOR_JITTERS, DEFAULT, FLAGS
from augmentations.options import HELP_FLAG, check_augmentations, describe_augmentation
from commons.checkpoints import load_checkpoint
from commons.errors import PlacewiseError, UsageError
from commons.options import check_name, describe, read_options
from commons.runs import read_config
from datasets.demo import SIZES as DEMO_SIZES
from datasets.grouping import check_parameters
from losses import LOSSES, MINERS, read_loss
from losses.self_supervised import SELF_SUPERVISED
from methods import METHODS, check_combination
from model.aggregation import AGGREGATIONS
from model.aggregation.options import describe_aggregation, own_dimension
from model.backbones import BACKBONE_NAMES, check_backbone_name
from model.export import FORMATS
from model.exported import is_exported
from model.network import check_network
from model.published import FAMILIES
from model.published.weights import check_published, find_published
from optimization.optimizers import check_optimizer, read_optimizer_options
from optimization.schedules import SCHEDULES
from retrieval.index import INDICES
from retrieval.pca import WHITENING

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
    "num_preds_to_save", "save_only_wrong_preds", "index", "compile", "target_folder", "patience",
}  # fmt: skip
# What says which network to build; a checkpoint knows all of it.
NETWORK_FLAGS = (
    "backbone",
    "cut_after",
    "aggregation",
    "aggregation_options",
    "fc_output_dim",
    "fc_init",
    "pretrained",
)


def parse_train_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of train.py; with --resume_train they come from the checkpoint.

    Raises:
        UsageError: if a flag is out of range or flags are in conflict.
    """
    parser = train_parser()
    given = _given(parser, arguments)
    if given.get("resume_train"):
        return _resumed(parser, given)
    arguments, given = _with_config(parser, arguments, given)
    if given.get("method") in METHODS:
        parser.set_defaults(**METHODS[given["method"]].defaults)
    if given.get("dataset_folder") in DEMO_SIZES:
        parser.set_defaults(**DEMO_DEFAULTS)
    args = parser.parse_args(arguments)
    choices = ("train_all_layers", "num_trainable_blocks", "freeze")
    chosen = [name for name in choices if given.get(name) not in (None, False)]
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} are in conflict: choose one")
    if args.train_all_layers or args.freeze:
        args.num_trainable_blocks = None  # the demo's default
    _check_method(args, given, parser.get_default("loss_options"))
    _check_self_supervision(args, given)
    _check_adaptation(args, given)
    _check_optimization(args, given)
    _check(args, given)
    check_parameters(args.M, args.alpha, args.N, args.L)
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
    arguments, given = _with_config(parser, arguments, _given(parser, arguments))
    args = parser.parse_args(arguments)
    if args.image_size is not None and len(args.image_size) > 2:
        raise UsageError(f"--image_size {' '.join(map(str, args.image_size))}: give one number, or height and width")
    if args.image_size is not None and len(args.image_size) == 1:
        (args.image_size,) = args.image_size
    if not (args.dataset_folder or args.test_set_folder or args.val_set_folder):
        raise UsageError("nothing to evaluate: give --dataset_folder or --test_set_folder")
    if args.adapt_batch_norm and not Path(args.adapt_batch_norm).is_dir():
        raise UsageError(f"--adapt_batch_norm {args.adapt_batch_norm}: there is no such folder")
    _check_predictions(args)
    if args.save_only_wrong_preds and args.no_labels:
        raise UsageError(
            "--save_only_wrong_preds and --no_labels are in conflict: without positions none is known to be wrong"
        )
    _check(args, given)
    _check_test_time(args, given)
    return args


def train_parser() -> argparse.ArgumentParser:
    """Returns the parser of train.py."""
    parser = _Parser(prog="train.py", description="Train a network for visual place recognition.")
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
        "--groups_num", type=_natural, default=8, help="number of groups, 0 for all; epochs take them in turn"
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
        action=_HelpEntry,
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
        type=_natural,
        metavar="N",
        help="train only the last N stages or blocks of the backbone; by default those that CosPlace trains",
    )
    network.add_argument(
        "--freeze",
        type=_names,
        metavar="BLOCK,...",
        help="train the whole backbone but these blocks; python -m model.describe BACKBONE names them",
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
    _add_method(parser)
    _add_published(network, "start from")
    _add_extras(parser)
    training = parser.add_argument_group("training")
    training.add_argument("--epochs_num", type=_natural, default=50, help="number of epochs")
    training.add_argument("--iterations_per_epoch", type=_positive, default=10000, help="batches in an epoch")
    training.add_argument(
        "--batch_size", type=_positive, default=32, help="images in a batch, over all processes together"
    )
    training.add_argument("--lr", type=_positive_float, default=1e-5, help="learning rate of the network")
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
    _add_optimization(parser)
    _add_augmentation(parser)
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
        nargs="+",
        help=(
            "checkpoint of train.py, file of model.export, or a state dict of the reference implementation; several "
            "are an ensemble; without it the pretrained backbone is measured"
        ),
    )
    _add_published(network, "measure")
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
        "--image_size",
        type=_positive,
        nargs="+",
        metavar="N",
        help=(
            "resize the shorter side of test images to this, or with two numbers all of them to this height and width; "
            "by default as in training"
        ),
    )
    evaluation = _add_evaluation(parser, default_resize=None)
    evaluation.add_argument(
        "--save_descriptors", action="store_true", help="write descriptors (.npy, float32) and image paths"
    )
    evaluation.add_argument(
        "--adapt_batch_norm",
        metavar="DIR",
        help="replace the statistics of batch normalisation by those of a folder's images; with the test queries the "
        "result is transductive",
    )
    _add_test_time(parser)
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


def preview_parser() -> argparse.ArgumentParser:
    """Returns the parser of augmentations.preview."""
    parser = _Parser(prog="-m augmentations.preview", description="Draw images before and after augmentation.")
    parser.add_argument(
        "--dataset_folder", metavar="DIR", required=True, help="folder with train/ inside, or with images, or `demo`"
    )
    parser.add_argument(
        "--output", metavar="FILE", type=_picture, default="augmentations.jpg", help="the sheet, .jpg or .png"
    )
    parser.add_argument(
        "--images", type=_positive, metavar="N", help="how many images, drawn from all; by default 4, with --each 1"
    )
    parser.add_argument("--draws", type=_positive, default=6, metavar="N", help="how many draws of each image")
    parser.add_argument(
        "--each",
        action="store_true",
        help="a row for each augmentation alone, on every draw; of all there are, unless --augmentations names some",
    )
    parser.add_argument(
        "--image_size", type=_positive, default=512, help="side of the square images in pixels, as in training"
    )
    parser.add_argument("--seed", type=_seed, default=0, help="seed of images and draws")
    _add_augmentation(parser)
    return parser


def parse_preview_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of augmentations.preview.

    Raises:
        UsageError: if a flag is out of range or flags are in conflict.
    """
    parser = preview_parser()
    given = _given(parser, arguments)
    args = parser.parse_args(arguments)
    if args.each and "augmentations" not in given:
        args.augmentations = list(AUGMENTATIONS)
    _check_augmentation(args, given)
    return args


def compare_parser() -> argparse.ArgumentParser:
    """Returns the parser of reports.compare."""
    parser = _Parser(prog="-m reports.compare", description="Put the results of runs side by side.")
    parser.add_argument(
        "runs", metavar="FOLDER", nargs="+", help="folders of runs of train.py and eval.py, or folders with such inside"
    )
    parser.add_argument(
        "--output", metavar="DIR", help="write compare.md, compare.csv, compare.tex and pictures to DIR"
    )
    parser.add_argument("--sort", action="store_true", help="best R@1 first, instead of the order given")
    return parser


def errors_parser() -> argparse.ArgumentParser:
    """Returns the parser of reports.errors."""
    parser = _Parser(prog="-m reports.errors", description="Show where a network finds the right place and where not.")
    parser.add_argument("run", metavar="FOLDER", help="folder of a run of train.py or eval.py")
    parser.add_argument("--output", metavar="DIR", help="where to write; by default errors/ in the run's folder")
    parser.add_argument("--worst", type=_natural, default=20, metavar="N", help="list the N worst queries")
    return parser


def parse_compare_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the flags of reports.compare."""
    return compare_parser().parse_args(arguments)


def parse_errors_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the flags of reports.errors."""
    return errors_parser().parse_args(arguments)


def training_defaults() -> dict[str, object]:
    """Returns the defaults of train.py's flags."""
    return vars(train_parser().parse_args([]))


def describe_model_parser() -> argparse.ArgumentParser:
    """Returns the parser of model.describe."""
    parser = _Parser(prog="-m model.describe", description="Print size, cost and speed of backbones.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="backbones; by default all named ones; one alone with all its blocks"
    )
    parser.add_argument("--image_size", type=_positive, default=224, help="side of the images in pixels")
    parser.add_argument("--batch_size", type=_positive, default=8, help="images in a batch of the timing")
    parser.add_argument("--no_speed", action="store_true", help="leave the timing out")
    _add_device(parser)
    return parser


def parse_describe_model_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of model.describe."""
    args = describe_model_parser().parse_args(arguments)
    for name in args.names:
        check_backbone_name(name)
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
    _add_num_workers(parser)
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


def _add_optimization(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("optimizer and schedule of the network")
    group.add_argument(
        "--optimizer",
        default="adam",
        metavar="NAME",
        help="adam, adamw, sgd, asgd, lion, lamb or any other of PyTorch's and timm's",
    )
    group.add_argument(
        "--optimizer_options",
        type=_pairs,
        default={},
        metavar="KEY=VALUE,...",
        help="its keyword arguments, such as momentum=0.9 or betas=0.9:0.95",
    )
    group.add_argument(
        "--weight_decay", type=_natural_float, default=0.0, help="weight decay; norms and biases are spared"
    )
    group.add_argument(
        "--layer_decay",
        type=_positive_float,
        default=1.0,
        help="each block of the backbone learns at this share of the rate of the next one",
    )
    group.add_argument(
        "--scheduler",
        choices=list(SCHEDULES),
        default="none",
        help="how the learning rate falls over the training",
    )
    group.add_argument(
        "--warmup_iterations", type=_natural, default=0, metavar="N", help="iterations in which the rate rises from 0"
    )
    group.add_argument(
        "--milestones", type=_positive, nargs="+", default=[], metavar="EPOCH", help="where multistep lowers the rate"
    )
    group.add_argument(
        "--lr_gamma", type=_positive_float, default=0.1, help="factor with which multistep and plateau lower the rate"
    )
    group.add_argument(
        "--plateau_patience",
        type=_natural,
        default=3,
        metavar="N",
        help="plateau lowers the rate after more than N epochs without a better validation R@1",
    )
    group.add_argument(
        "--clip_grad",
        type=_natural_float,
        default=0.0,
        metavar="NORM",
        help="longest gradient of the network; 0 for any",
    )
    group.add_argument(
        "--accumulate",
        type=_positive,
        default=1,
        metavar="N",
        help="average the gradients of N batches before each step; an epoch still counts batches",
    )
    group.add_argument(
        "--ema",
        type=_natural_float,
        default=0.0,
        metavar="DECAY",
        help="test and keep a running average of the weights, e.g. 0.999; 0 for the weights themselves",
    )
    group.add_argument(
        "--patience",
        type=_natural,
        default=0,
        metavar="N",
        help="end after N epochs without a better validation R@1; 0 for never",
    )


def _add_augmentation(parser: argparse.ArgumentParser) -> None:
    augmentation = parser.add_argument_group("augmentation")
    augmentation.add_argument(
        "--augmentations",
        type=_names,
        default=",".join(DEFAULT),
        metavar="NAME,...",
        help=f"none, or some of these in the order of their work: {', '.join(AUGMENTATIONS)}",
    )
    augmentation.add_argument(
        "--augmentation_options",
        type=_pairs,
        default={},
        metavar="NAME.KEY=VALUE,...",
        help=f"their strengths, such as perspective.distortion=0.3; train.py {HELP_FLAG} NAME prints them",
    )
    augmentation.add_argument(
        HELP_FLAG,
        dest="help",
        action=_HelpEntry,
        describe=describe_augmentation,
        help="print an augmentation's paper, formula and options, and end",
    )
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


def _add_method(parser: argparse.ArgumentParser) -> None:
    method = parser.add_argument_group("method and loss")
    for kind, registry, default, meaning in (
        ("method", METHODS, "cosplace", "which images form a batch and what is trained beside the network"),
        ("loss", LOSSES, "cosface", "cosplace and eigenplaces take the first four, gsv the others"),
        (
            "miner",
            MINERS,
            "auto",
            "which pairs or triplets a metric loss sees; auto takes the loss's own, if any",
        ),
    ):
        names = [*(["auto", "none"] if kind == "miner" else []), *registry]
        method.add_argument(f"--{kind}", default=default, metavar="NAME", help=f"{', '.join(names)}: {meaning}")
        method.add_argument(
            f"--{kind}_options",
            type=_pairs,
            default={},
            metavar="KEY=VALUE,...",
            help=f"options of the {kind}; --help_{kind} NAME prints them",
        )
        method.add_argument(
            f"--help_{kind}",
            dest="help",
            action=_HelpEntry,
            describe=partial(_describe_method if kind == "method" else partial(describe, kind), registry=registry),
            help=f"print a {kind}'s paper, formula and options, and end",
        )


def _add_extras(parser: argparse.ArgumentParser) -> None:
    extras = parser.add_argument_group("self-supervision and domain adaptation, beside the method")
    extras.add_argument(
        "--self_supervised_weight",
        type=_natural_float,
        default=0.0,
        metavar="W",
        help=(
            "add W times a loss on two augmented views of each image of the batch; --method selfsup trains with it "
            "alone"
        ),
    )
    extras.add_argument(
        "--self_supervised_loss", default="vicreg", metavar="NAME", help=f"that loss: {', '.join(SELF_SUPERVISED)}"
    )
    extras.add_argument(
        "--self_supervised_loss_options",
        type=_pairs,
        default={},
        metavar="KEY=VALUE,...",
        help="its options; --help_self_supervised_loss NAME prints them",
    )
    extras.add_argument(
        "--target_folder",
        metavar="DIR",
        help="images of the domain to adapt to, without labels, e.g. photos at night; not the test queries, or the "
        "result is transductive",
    )
    extras.add_argument(
        "--adaptation",
        type=_names,
        default=[],
        metavar="NAME,...",
        help=f"how to adapt to them: {', '.join(ADAPTATIONS)} (batch normalisation: eval.py --adapt_batch_norm)",
    )
    extras.add_argument(
        "--adaptation_options",
        type=_pairs,
        default={},
        metavar="NAME.KEY=VALUE,...",
        help="their options, such as fourier.beta=0.05; --help_adaptation NAME prints them",
    )
    extras.add_argument(
        "--adaptation_weight",
        type=_positive_float,
        default=1.0,
        metavar="W",
        help=f"weight of the losses of {' and '.join(DESCRIPTOR_ADAPTATIONS)}",
    )
    extras.add_argument(
        "--auxiliary_lr",
        type=_positive_float,
        default=1e-3,
        help="Adam's learning rate for the projector of the self-supervised loss and the domain classifier",
    )
    for kind, text in (
        ("self_supervised_loss", partial(describe, "self_supervised_loss", registry=SELF_SUPERVISED)),
        ("adaptation", describe_adaptation),
    ):
        extras.add_argument(
            f"--help_{kind}",
            dest="help",
            action=_HelpEntry,
            describe=text,
            help="print paper, formula and options, and end",
        )


def _describe_method(name: str, registry: Mapping[str, type]) -> str:
    text = describe("method", name, registry)
    defaults = " ".join(
        f"--{flag} {','.join(map('='.join, value.items())) if isinstance(value, dict) else value}"
        for flag, value in registry[name].defaults.items()
    )
    return f"{text}\n\nIts defaults: {defaults}" if defaults else text


def _add_queries_folder(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--queries_folder", metavar="NAME", help="which queries of a test set, where it has several, e.g. queries_v1"
    )


def _add_backbone(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--backbone", default="ResNet18", metavar="NAME", help=f"{', '.join(BACKBONE_NAMES)}, or timm:<name>"
    )
    group.add_argument(
        "--cut_after",
        metavar="BLOCK",
        help="end the backbone with this block, e.g. layer3 of a ResNet; python -m model.describe BACKBONE names them",
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
        help=(
            "the backbone's first weights: ImageNet's (for DINO its own), random ones, or those of a file (.pth or "
            ".safetensors)"
        ),
    )


def _add_published(group: argparse._ArgumentGroup, use: str) -> None:
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


def _add_test_time(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("test time")
    group.add_argument(
        "--multi_scale",
        type=_scales,
        default=[],
        metavar="SCALE,...",
        help="average the descriptors of each image at these scales, e.g. 0.7,1,1.4; plain ones are described as well",
    )
    group.add_argument(
        "--five_crops",
        type=_share,
        nargs="?",
        const=1.0,
        default=0.0,
        metavar="SHARE",
        help=(
            "average the descriptors of five square crops of each query: corners and centre, their side is SHARE (by "
            "default 1) of the shorter side; plain ones are described as well"
        ),
    )
    group.add_argument(
        "--pca_dim", type=_natural, default=0, metavar="D", help="reduce descriptors to D dimensions by a PCA"
    )
    group.add_argument(
        "--whiten",
        choices=list(WHITENING),
        default="none",
        help="divide each component of the PCA by its deviation (full), by the root of it (half), or by nothing",
    )
    group.add_argument(
        "--pca_images", metavar="DIR", help="fit the PCA to these images instead of each test set's database"
    )
    group.add_argument("--pca_file", metavar="FILE", help="a PCA of another run (pca.pth of its folder)")
    group.add_argument(
        "--database_augmentation",
        type=_natural,
        default=0,
        metavar="K",
        help="add to each database descriptor its K nearest others",
    )
    group.add_argument(
        "--query_expansion",
        type=_natural,
        default=0,
        metavar="K",
        help="add to each query its K nearest database descriptors, and search again",
    )
    group.add_argument(
        "--expansion_alpha",
        type=_natural_float,
        default=3.0,
        metavar="ALPHA",
        help="their weight is cosine^ALPHA; 0 for a plain mean",
    )


def _add_run(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("run")
    group.add_argument(
        "--config", metavar="FILE", help="read flags from this YAML file, e.g. a run's config.yaml; flags beside it win"
    )
    group.add_argument(
        "--save_dir", default="default", metavar="NAME", help="the run's folder is logs/<save_dir>/<date_time>"
    )
    group.add_argument("--output_folder", metavar="DIR", help="the run's folder, exactly")
    _add_device(group)
    group.add_argument(
        "--use_amp16", dest="precision", action="store_const", const="auto", help="the same as --precision auto"
    )
    _add_num_workers(group)
    group.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="compile the network with torch.compile: a slower start, then more images a second",
    )
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


def _add_num_workers(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--num_workers", type=_natural, default=_cores(), help="processes that decode images, for each training process"
    )


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options: object) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter, **options)

        self.register("action", "store_true", _Switch)

    def error(self, message: str) -> None:
        raise UsageError(f"{message} (see python {self.prog} --help)")


class _Switch(argparse.BooleanOptionalAction):
    """A flag that a configuration file may set and the command line take back, as --no-<flag>."""

    def __init__(self, **options: object) -> None:
        super().__init__(default=False, **options)


class _HelpEntry(argparse.Action):
    def __init__(self, describe: Callable[[str], str], **options: object) -> None:
        super().__init__(default=argparse.SUPPRESS, metavar="NAME", **options)
        self.describe = describe

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: str, option: str | None = None
    ) -> None:
        print(self.describe(values))
        parser.exit()


def _pairs(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(key and value for key, _, value in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form key=value,key=value")
    return {key.strip(): value.strip() for key, _, value in pairs}


def _names(text: str) -> list[str]:
    names = [] if text == "none" else [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name,name")
    return names


def _picture(text: str) -> str:
    if not text.lower().endswith((".jpg", ".jpeg", ".png")):
        raise argparse.ArgumentTypeError(f"{text} must end in .jpg or .png")
    return text


def _scales(text: str) -> list[float]:
    scales = [_positive_float(scale) for scale in text.split(",")]
    if len(set(scales)) < len(scales) or scales == [1]:
        raise argparse.ArgumentTypeError(f"{text!r} must name scales once each, and others than 1")
    return scales


def _share(text: str) -> float:
    if _natural_float(text) > 1:
        raise argparse.ArgumentTypeError("must be at most 1, the shorter side")
    return float(text)


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


def _with_config(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, given: dict
) -> tuple[Sequence[str] | None, dict]:
    """Puts the flags of a --config file before those of the command line, which win; returns them and what is given.

    What a file says as the default has it is not given: config.yaml holds all flags, also those without effect.
    """
    if "config" not in given:
        return arguments, given
    flags = _config_flags(parser, given["config"])
    try:
        values = vars(parser.parse_args(flags))
    except UsageError as error:
        raise UsageError(f"--config {given['config']}: {error}") from error
    defaults = vars(parser.parse_args([]))
    chosen = {name: value for name, value in _given(parser, flags).items() if values[name] != defaults[name]}
    return [*flags, *(sys.argv[1:] if arguments is None else arguments)], chosen | given


def _config_flags(parser: argparse.ArgumentParser, file: str) -> list[str]:
    """A configuration file as a command line, so that its values go through the checks of the flags."""
    known: dict[str, argparse.Action] = {}
    for action in parser._actions:
        if action.dest not in ("help", "config", "resume_train"):
            known.setdefault(action.dest, action)
    flags = []
    for key, value in read_config(file).items():
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"python {parser.prog} --help lists what there is"
            raise UsageError(f"--config {file}: {key} is no flag of {parser.prog} ({hint})")
        flags += _as_flags(known[key], value, file)
    return flags


def _as_flags(action: argparse.Action, value: object, file: str) -> list[str]:
    name = action.option_strings[0]
    if isinstance(action, argparse.BooleanOptionalAction) and value is not None:
        if not isinstance(value, bool):
            raise UsageError(f"--config {file}: {action.dest} must be true or false, not {value}")
        return [action.option_strings[not value]]
    if value is None or value == {} or value == [] == action.default:
        return []
    if isinstance(value, dict):
        return [f"{name}={','.join(_pairs_of(value))}"]
    if not isinstance(value, list):
        return [f"{name}={value}"]
    if action.nargs is None:
        return [f"{name}={','.join(map(str, value)) or 'none'}"]
    return [name, *map(str, value)] if value else []


def _pairs_of(options: Mapping[str, object], prefix: str = "") -> list[str]:
    """Options as key=value, those of an entry's own as entry.key=value."""
    pairs = []
    for key, value in options.items():
        own = isinstance(value, dict)
        pairs += _pairs_of(value, f"{prefix}{key}.") if own else [f"{prefix}{key}={value}"]
    return pairs


def configuration(args: argparse.Namespace) -> dict[str, object]:
    """Returns the flags that config.yaml keeps: all that another run can take back with --config."""
    without = {"config", "resume_train", "output_folder", *(NETWORK_FLAGS if args.resume_model else ())}
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
    if "dataset_folder" in given:
        config |= dict.fromkeys(("train_set_folder", "val_set_folder", "test_set_folder"))
    args = argparse.Namespace(**known | config | given | {"output_folder": str(path.parent)})
    _check_predictions(args)
    return args


def _check_predictions(args: argparse.Namespace) -> None:
    if args.save_only_wrong_preds and not args.num_preds_to_save:
        raise UsageError("--save_only_wrong_preds needs --num_preds_to_save")


def _check_method(args: argparse.Namespace, given: dict, default_options: dict[str, str]) -> None:
    """Checks method, loss and miner, and puts all of their options where some were given."""
    check_name("method", args.method, METHODS)
    for flag, reason in METHODS[args.method].conflicts.items():
        if flag in given:
            raise UsageError(f"--{flag} and --method {args.method} are in conflict: {reason}")
    args.method_options = read_options("method", args.method, METHODS[args.method], args.method_options)
    if not METHODS[args.method].losses:
        args.loss = args.miner = "none"
        return
    check_name("loss", args.loss, LOSSES)
    check_combination(args.method, args.loss)
    args.loss_options, args.miner, args.miner_options = read_loss(
        args.loss, default_options | args.loss_options, args.miner, args.miner_options
    )


def _check_self_supervision(args: argparse.Namespace, given: dict) -> None:
    """Checks the loss on two views, and puts all of its options where some were given."""
    if not args.self_supervised_weight:
        if args.loss == "none":
            raise UsageError(
                f"--method {args.method} trains with nothing else: --self_supervised_weight must be above 0"
            )
        for flag in ("self_supervised_loss", "self_supervised_loss_options"):
            if flag in given:
                raise UsageError(
                    f"--{flag} needs --self_supervised_weight above 0, to add that loss to --method {args.method}, or "
                    "--method selfsup, to train with it alone"
                )
        return
    name = args.self_supervised_loss
    check_name("self_supervised_loss", name, SELF_SUPERVISED)
    args.self_supervised_loss_options = read_options(
        "self_supervised_loss", name, SELF_SUPERVISED[name], args.self_supervised_loss_options
    )
    with torch.device("meta"):
        SELF_SUPERVISED[name](2, **args.self_supervised_loss_options)
    strengths = (args.brightness, args.contrast, args.saturation, args.hue, args.random_resized_crop)
    if not any(strengths) and not set(args.augmentations) - FLAGS.keys():
        raise UsageError(
            f"--self_supervised_loss {name} compares two augmented views, and without augmentation they are the same: "
            "raise --brightness, --contrast, --saturation, --hue or --random_resized_crop, or name others with "
            "--augmentations"
        )


def _check_optimization(args: argparse.Namespace, given: dict) -> None:
    """Checks optimizer and schedule."""
    check_optimizer(args.optimizer, read_optimizer_options(args.optimizer_options))
    if args.layer_decay > 1:
        raise UsageError(f"--layer_decay {args.layer_decay:g}: must be at most 1")
    if args.ema >= 1:
        raise UsageError(f"--ema {args.ema:g}: must be below 1")
    if bool(args.milestones) != (args.scheduler == "multistep"):
        raise UsageError("--milestones and --scheduler multistep need each other")
    for flag, schedulers in (("lr_gamma", ("multistep", "plateau")), ("plateau_patience", ("plateau",))):
        if flag in given and args.scheduler not in schedulers:
            raise UsageError(f"--{flag} needs --scheduler {' or '.join(schedulers)}")
    if args.iterations_per_epoch % args.accumulate:
        raise UsageError(
            f"--accumulate {args.accumulate}: --iterations_per_epoch must be a multiple of it, such as "
            f"{-(-args.iterations_per_epoch // args.accumulate) * args.accumulate}"
        )


def _check_adaptation(args: argparse.Namespace, given: dict) -> None:
    """Checks that there is something to adapt to, and puts all options where some were given."""
    names = ",".join(args.adaptation)
    args.adaptation_options = read_adaptations(args.adaptation, args.adaptation_options)
    if names and not args.target_folder:
        raise UsageError(
            f"--adaptation {names} needs images of the target domain: give --target_folder, or leave --adaptation out"
        )
    if args.target_folder and not names:
        choices = ", ".join(ADAPTATIONS)
        raise UsageError(f"--target_folder: say how to adapt to its images with --adaptation, one or more of {choices}")
    if args.target_folder and not Path(args.target_folder).is_dir():
        raise UsageError(f"--target_folder {args.target_folder}: there is no such folder")
    if "adaptation_weight" in given and not set(args.adaptation) & set(DESCRIPTOR_ADAPTATIONS):
        raise UsageError(
            "--adaptation_weight weighs the loss of gradient_reversal or coral: add one of them to --adaptation, or "
            "leave it out"
        )
    learned = args.self_supervised_weight or "gradient_reversal" in args.adaptation
    if "auxiliary_lr" in given and not learned:
        raise UsageError(
            "--auxiliary_lr is for the projector of --self_supervised_weight or --method selfsup and for --adaptation "
            "gradient_reversal: use one of them, or leave it out"
        )


def _check_test_time(args: argparse.Namespace, given: dict) -> None:
    if args.pca_images and args.pca_file:
        raise UsageError("--pca_images and --pca_file are in conflict: the file holds a PCA that is fitted")
    for flag, needs, there in (
        ("pca_images", "--pca_dim", args.pca_dim),
        ("whiten", "--pca_dim or --pca_file", args.pca_dim or args.pca_file),
        ("expansion_alpha", "--query_expansion or --database_augmentation",
         args.query_expansion or args.database_augmentation),
    ):  # fmt: skip
        if flag in given and not there:
            raise UsageError(f"--{flag} needs {needs}")
    if args.pca_images and not Path(args.pca_images).is_dir():
        raise UsageError(f"--pca_images {args.pca_images}: there is no such folder")
    if args.pca_file and not Path(args.pca_file).is_file():
        raise UsageError(f"--pca_file {args.pca_file}: there is no such file")


def _check(args: argparse.Namespace, given: dict) -> None:
    for name in ("resume_model", "pretrained_model_file"):
        files = getattr(args, name)
        for file in [files] if isinstance(files, str) else files or []:
            if not Path(file).is_file():
                raise UsageError(f"--{name} {file}: there is no such file")
    if args.pretrained_model_file and not args.pretrained_model:
        raise UsageError("--pretrained_model_file needs --pretrained_model NAME, which says what network it holds")
    source = next((name for name in ("resume_model", "pretrained_model") if getattr(args, name)), None)
    if source is None:
        _check_network(args, given)
    for name in (*NETWORK_FLAGS, "pretrained_model"):
        if source not in (None, name) and name in given:
            what = "checkpoint" if source == "resume_model" else "name"
            raise UsageError(f"--{name} and --{source} are in conflict: the {what} says what the network is")
    if source == "pretrained_model":
        args.pretrained_model = find_published(args.pretrained_model)
        if args.image_size is not None:
            blocks = (getattr(args, "num_trainable_blocks", None), getattr(args, "freeze", None))
            check_published(args.pretrained_model, args.image_size, *blocks)
    if hasattr(args, "augmentations"):
        _check_augmentation(args, given)


def _check_augmentation(args: argparse.Namespace, given: dict) -> None:
    """Checks what says how to augment, and puts all options of each augmentation in the place of those given."""
    if args.hue > 0.5:
        raise UsageError(f"--hue {args.hue}: at most 0.5, half the colour circle")
    if args.random_resized_crop >= 1:
        raise UsageError(f"--random_resized_crop {args.random_resized_crop}: must be below 1")
    args.augmentation_options = check_augmentations(args.augmentations, args.augmentation_options)
    for name, flags in FLAGS.items():
        for flag in flags:
            if flag in given and name not in args.augmentations:
                raise UsageError(f"--{flag} is a setting of {name}, which is not in --augmentations: add it there")


def _check_network(args: argparse.Namespace, given: dict) -> None:
    """Checks what says which network to build, and puts the aggregation's own defaults where nothing was given."""
    check_backbone_name(args.backbone)
    check_name("aggregation", args.aggregation, AGGREGATIONS)
    if args.pretrained not in ("imagenet", "none") and not Path(args.pretrained).is_file():
        raise UsageError(f"--pretrained {args.pretrained}: neither imagenet nor none nor a file")
    args.aggregation_options = read_options(
        "aggregation", args.aggregation, AGGREGATIONS[args.aggregation], args.aggregation_options
    )
    own = own_dimension(args.aggregation)
    wanted = 0 if own and "fc_output_dim" not in given else args.fc_output_dim
    head = (wanted, args.aggregation, args.aggregation_options)
    frozen = (getattr(args, "num_trainable_blocks", None), getattr(args, "freeze", None))
    dimension = check_network(args.backbone, *head, args.image_size, args.cut_after, *frozen)
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
            meaning = str(action.help).replace("|", "\\|")
            lines.append(f"| `{action.option_strings[0]}` | {default} | {meaning} |")
    return "\n".join(lines)


def flags_page() -> str:
    """Returns docs/flags.md."""
    demo = ", ".join(f"`--{name}`" if value is True else f"`--{name} {value}`" for name, value in DEMO_DEFAULTS.items())
    methods = [
        f"`--method {name}` {', '.join(f'`--{flag} {value}`' for flag, value in kind.defaults.items())}"
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
