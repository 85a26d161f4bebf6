"""Settings of the tools that read networks: inspect_network, soup, export."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from commons.errors import UsageError
from flags import values
from flags.data import ValidationData
from flags.evaluation import MeasuringSettings
from flags.parsers import make_parser
from flags.run import DeviceSettings, LoaderSettings
from flags.settings import build, setting
from flags.tools.files import check_files, check_output
from model.formats import FORMATS


@dataclass(frozen=True)
class InspectNetworkSettings(DeviceSettings):
    """Settings of tools.inspect_network."""

    names: list[str] = setting(
        [],
        "names of backbones, by default all; for a single one, its blocks are printed",
        metavar="NAME",
        nargs="*",
        positional=True,
    )
    image_size: int = setting(224, "side of the images in pixels", values.positive)
    batch_size: int = setting(8, "images per batch when speed is measured", values.positive)
    no_speed: bool = setting(False, "do not measure speed")


@dataclass(frozen=True)
class SoupSettings:
    """Settings of tools.soup."""

    @dataclass(frozen=True)
    class Members:
        """Soup"""

        checkpoints: list[str] = setting(
            [], "two or more best_model.pth of the same network", metavar="FILE", nargs="+", positional=True
        )
        method: str = setting(
            "uniform",
            "uniform averages all networks; greedy adds them one by one, best first, and keeps those that do not make "
            "the validation result worse",
            choices=("uniform", "greedy"),
        )
        output: str = setting(
            "soup.pth", "write the averaged network to FILE, a checkpoint like the others", metavar="FILE"
        )

    @dataclass(frozen=True)
    class Measuring(MeasuringSettings):
        """Evaluation"""

        resize_test_imgs: bool | None = setting(
            None, "resize the shorter side of images to --image_size; by default, as in training"
        )
        image_size: int | None = setting(
            None, "resize the shorter side of images to N pixels; by default, as in training", values.positive
        )

    members: Members = field(default_factory=Members)
    data: ValidationData = field(default_factory=ValidationData)
    evaluation: Measuring = field(default_factory=Measuring)
    run: LoaderSettings = field(default_factory=LoaderSettings)


@dataclass(frozen=True)
class ExportSettings:
    """Settings of tools.export."""

    checkpoint: str = setting(
        "", "best_model.pth, or a state dict of the reference implementation", metavar="FILE", positional=True
    )
    format: str | None = setting(None, "format to write", choices=tuple(FORMATS))
    output: str | None = setting(
        None, "file to write; by default, that of the checkpoint with the suffix of the format", metavar="FILE"
    )
    part: str | None = setting(
        None,
        "which tower of a network of street_to_aerial to write: street or aerial; needed for onnx and torchscript",
        metavar="NAME",
    )
    int8: bool = setting(
        False, "with --format onnx: quantize weights and activations of convolutions and matrix products to 8 bits"
    )
    calibration_folder: str | None = setting(
        None,
        "with --int8: images like those on which the network will be used, e.g. the training set; 128 of them "
        "calibrate the ranges of activations",
        metavar="DIR",
    )


def parse_inspect_network_settings(arguments: Sequence[str] | None = None) -> InspectNetworkSettings:
    """Reads and checks the flags of tools.inspect_network."""
    parser = make_parser("-m tools.inspect_network", "Print size, cost and speed of backbones.", InspectNetworkSettings)
    args = parser.parse_args(arguments)
    from model.backbones.building import check_backbone_name

    for name in args.names:
        check_backbone_name(name)
    return build(InspectNetworkSettings, vars(args))


def parse_soup_settings(arguments: Sequence[str] | None = None) -> SoupSettings:
    """Reads and checks the flags of tools.soup.

    Raises:
        UsageError: if there is one checkpoint only, or nothing to choose members by.
    """
    args = make_parser("-m tools.soup", "Average the weights of several networks.", SoupSettings).parse_args(arguments)
    if len(args.checkpoints) < 2:
        raise UsageError(f"{args.checkpoints[0]}: a single checkpoint cannot be averaged; name two or more")
    if args.method == "greedy" and not (args.dataset_folder or args.val_set_folder):
        raise UsageError("--method greedy needs a validation set: give --dataset_folder or --val_set_folder")
    check_files(args.checkpoints)
    check_output(args.output, ".pth")
    if Path(args.output).resolve() in [Path(name).resolve() for name in args.checkpoints]:
        raise UsageError(f"--output {args.output}: would overwrite a member")
    return build(SoupSettings, vars(args))


def parse_export_settings(arguments: Sequence[str] | None = None) -> ExportSettings:
    """Reads and checks the flags of tools.export.

    Raises:
        UsageError: if flags are in conflict, or a file is missing or of the wrong kind.
    """
    parser = make_parser("-m tools.export", "Write a network in a format for other programs.", ExportSettings)
    args = parser.parse_args(arguments)
    check_files([args.checkpoint])
    if args.format is None:
        raise UsageError(f"--format is missing: choose from {', '.join(FORMATS)}")
    if args.int8 and args.format != "onnx":
        raise UsageError(f"--int8 and --format {args.format} are in conflict: --int8 needs --format onnx")
    if args.int8 != bool(args.calibration_folder):
        raise UsageError("--int8 and --calibration_folder need each other")
    if args.calibration_folder and not Path(args.calibration_folder).is_dir():
        raise UsageError(f"--calibration_folder {args.calibration_folder}: there is no such folder")
    if args.output is None:
        part = f"_{args.part}" if args.part else ""
        args.output = str(Path(args.checkpoint).with_suffix("")) + part + "_int8" * args.int8 + FORMATS[args.format]
    check_output(args.output, FORMATS[args.format])
    if Path(args.output).resolve() == Path(args.checkpoint).resolve():
        raise UsageError(f"--output {args.output}: would overwrite the checkpoint")
    return build(ExportSettings, vars(args))
