"""Flags of the entry scripts beside train.py and eval.py."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from augmentations import AUGMENTATIONS
from commons.errors import UsageError
from commons.files import check_writable
from datasets.cell_parameters import check_parameters
from flags import values
from flags.checks import check_augmentation
from flags.evaluation import add_measuring, add_queries_folder
from flags.parsers import Parser, flags_given
from flags.run import add_device, add_num_workers
from flags.training import add_augmentation, add_classes
from model.backbones import check_backbone_name
from model.exported import FORMATS, is_exported


def describe_parser() -> argparse.ArgumentParser:
    """Returns the parser of tools.inspect_data."""
    parser = Parser(prog="-m tools.inspect_data", description="Print and draw what is in a data set.")
    parser.add_argument(
        "dataset_folder", metavar="DIR", help="folder with train/, val/ and test/ inside, or with images, or `demo`"
    )
    parser.add_argument(
        "--output", metavar="FILE", help="the picture; by default <name of DIR>.png in the working folder"
    )
    add_classes(parser)
    return parser


def parse_describe_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of tools.inspect_data."""
    args = describe_parser().parse_args(arguments)
    check_parameters(args.M, args.alpha, args.N, args.L)
    if args.output:
        _check_output(args.output)
    return args


def preview_parser() -> argparse.ArgumentParser:
    """Returns the parser of tools.preview."""
    parser = Parser(prog="-m tools.preview", description="Draw images before and after augmentation.")
    parser.add_argument(
        "--dataset_folder", metavar="DIR", required=True, help="folder with train/ inside, or with images, or `demo`"
    )
    parser.add_argument(
        "--output", metavar="FILE", type=values.picture, default="augmentations.jpg", help="the sheet, .jpg or .png"
    )
    parser.add_argument(
        "--images",
        type=values.positive,
        metavar="N",
        help="how many images, drawn from all; by default 4, with --each 1",
    )
    parser.add_argument("--draws", type=values.positive, default=6, metavar="N", help="how many draws of each image")
    parser.add_argument(
        "--each",
        action="store_true",
        help="a row for each augmentation alone, on every draw; of all there are, unless --augmentations names some",
    )
    parser.add_argument(
        "--image_size", type=values.positive, default=512, help="side of the square images in pixels, as in training"
    )
    parser.add_argument("--seed", type=values.seed, default=0, help="seed of images and draws")
    add_augmentation(parser)
    return parser


def parse_preview_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of tools.preview.

    Raises:
        UsageError: if a flag is out of range or flags are in conflict.
    """
    parser = preview_parser()
    given = flags_given(parser, arguments)
    args = parser.parse_args(arguments)
    if args.each and "augmentations" not in given:
        args.augmentations = list(AUGMENTATIONS)
    check_augmentation(args, given)
    _check_output(args.output)
    return args


def describe_model_parser() -> argparse.ArgumentParser:
    """Returns the parser of tools.inspect_network."""
    parser = Parser(prog="-m tools.inspect_network", description="Print size, cost and speed of backbones.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="backbones; by default all named ones; one alone with all its blocks"
    )
    parser.add_argument("--image_size", type=values.positive, default=224, help="side of the images in pixels")
    parser.add_argument("--batch_size", type=values.positive, default=8, help="images in a batch of the timing")
    parser.add_argument("--no_speed", action="store_true", help="leave the timing out")
    add_device(parser)
    return parser


def parse_describe_model_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of tools.inspect_network."""
    args = describe_model_parser().parse_args(arguments)
    for name in args.names:
        check_backbone_name(name)
    return args


def soup_parser() -> argparse.ArgumentParser:
    """Returns the parser of training.soup."""
    parser = Parser(prog="-m tools.soup", description="Average the weights of several networks into one.")
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
    add_queries_folder(parser)
    parser.add_argument(
        "--image_size",
        type=values.positive,
        help="resize the shorter side of images to this; by default as in training",
    )
    add_measuring(parser, default_resize=None)
    add_device(parser)
    add_num_workers(parser)
    return parser


def parse_soup_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads and checks the flags of training.soup.

    Raises:
        UsageError: if there is one checkpoint only or nothing to choose members by.
    """
    args = soup_parser().parse_args(arguments)
    if len(args.checkpoints) < 2:
        raise UsageError(f"{args.checkpoints[0]} alone is no soup: name two or more checkpoints")
    if args.method == "greedy" and not (args.dataset_folder or args.val_set_folder):
        raise UsageError("--method greedy chooses by recall: give --dataset_folder or --val_set_folder")
    _check_files([*args.checkpoints])
    _check_output(args.output, ".pth")
    if Path(args.output).resolve() in [Path(name).resolve() for name in args.checkpoints]:
        raise UsageError(f"--output {args.output}: would overwrite a member")
    return args


def export_parser() -> argparse.ArgumentParser:
    """Returns the parser of model.export."""
    parser = Parser(prog="-m tools.export", description="Write a network for other programs.")
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
    _check_output(args.output, FORMATS[args.format])
    if Path(args.output).resolve() == Path(args.checkpoint).resolve():
        raise UsageError(f"--output {args.output}: would overwrite the checkpoint")
    return args


def _check_output(name: str, suffix: str = "") -> None:
    if not name.endswith(suffix):
        raise UsageError(f"--output {name}: must end in {suffix}")
    if Path(name).is_dir():
        raise UsageError(f"--output {name}: is a folder; name a file")
    check_writable(Path(name).parent, "--output")


def _check_files(names: list[str]) -> None:
    for name in names:
        if not Path(name).is_file():
            raise UsageError(f"{name}: there is no such file")
        if is_exported(name):
            raise UsageError(f"{name}: is exported already; give the checkpoint that it was made from")
