"""Settings of the programs in tools/."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from augmentations import AUGMENTATIONS
from cells import CELLS, WITH_POLYGONS
from commons.errors import UsageError
from commons.files import check_writable
from flags import values
from flags.augmentation import AugmentationSettings
from flags.data import GridSettings, ValidationData
from flags.evaluation import MeasuringSettings
from flags.parsers import flags_given, make_parser
from flags.run import DeviceSettings, LoaderSettings
from flags.settings import build, setting
from model.formats import FORMATS


@dataclass(frozen=True)
class InspectDataSettings(GridSettings):
    """Settings of tools.inspect_data."""

    dataset_folder: str = setting(
        "",
        "folder that contains train/, val/ and test/, or images; `demo` for the demo city",
        metavar="DIR",
        positional=True,
    )
    output: str | None = setting(
        None, "write the picture to FILE; by default, <name of DIR>.png in the working directory", metavar="FILE"
    )


@dataclass(frozen=True)
class PreviewSettings:
    """Settings of tools.preview."""

    @dataclass(frozen=True)
    class Sheet:
        """Sheet"""

        dataset_folder: str | None = setting(
            None, "folder that contains train/, or images; `demo` for the demo city", metavar="DIR"
        )
        output: str = setting(
            "augmentations.jpg", "write the sheet to FILE, .jpg or .png", values.picture, metavar="FILE"
        )
        images: int | None = setting(
            None, "number of images, drawn at random; by default 4, or 1 with --each", values.positive, metavar="N"
        )
        draws: int = setting(6, "number of augmented versions of each image", values.positive, metavar="N")
        each: bool = setting(
            False,
            "one row per augmentation, applied every time; of all augmentations, unless --augmentations is given",
        )
        image_size: int = setting(512, "side of the square images in pixels, as in training", values.positive)
        seed: int = setting(0, "seed of all random numbers", values.seed)

    sheet: Sheet = field(default_factory=Sheet)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)


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
    int8: bool = setting(
        False, "with --format onnx: quantize weights and activations of convolutions and matrix products to 8 bits"
    )
    calibration_folder: str | None = setting(
        None,
        "with --int8: images like those that the network will see, e.g. the training set; 128 of them set the ranges "
        "of the activations",
        metavar="DIR",
    )


@dataclass(frozen=True)
class CompareSettings:
    """Settings of tools.compare."""

    runs: list[str] = setting(
        [],
        "folders of runs of train.py and eval.py, or folders that contain such folders",
        metavar="FOLDER",
        nargs="+",
        positional=True,
    )
    output: str | None = setting(None, "write compare.md, compare.csv, compare.tex and pictures to DIR", metavar="DIR")
    sort: bool = setting(False, "sort by result, best first; by default, in the order given")


@dataclass(frozen=True)
class ErrorsSettings:
    """Settings of tools.errors."""

    run: str = setting("", "folder of a run of train.py or eval.py", metavar="FOLDER", positional=True)
    output: str | None = setting(
        None, "folder to write to; by default, errors/ in the folder of the run", metavar="DIR"
    )
    worst: int = setting(20, "number of queries to list, worst first", values.natural, metavar="N")


@dataclass(frozen=True)
class BuildCellsSettings:
    """Settings of tools.build_cells."""

    @dataclass(frozen=True)
    class Photos:
        """Photos"""

        photos: str = setting(
            "",
            "training photos: a table with latitude and longitude (.csv, .parquet), or a folder of images",
            metavar="FILE|DIR",
            positional=True,
        )
        test_photos: str | None = setting(
            None, "other photos to measure the cells with; by default, the training photos", metavar="FILE|DIR"
        )

    @dataclass(frozen=True)
    class Cells:
        """Cells"""

        cells: str = setting(
            "s2",
            f"kind of cells: {', '.join(CELLS)}",
            metavar="NAME",
            explain=lambda name: import_module("cells.building").cells_help(name),
        )
        cell_options: dict[str, str] = setting(
            {},
            "options of the kind; python -m tools.build_cells --help_cells NAME lists them",
            values.pairs,
            metavar="KEY=VALUE,...",
            follows=("cells",),
        )
        coarser: list[str] = setting(
            [],
            "further, coarser resolutions, as values of the option that sets the size of cells, e.g. 2000,5000 for s2",
            values.names,
            metavar="VALUE,...",
        )
        polygons: str | None = setting(
            None, "areas for admin and admin_optics: GeoJSON, TopoJSON, shapefile, GeoPackage", metavar="FILE"
        )
        polygon_name: str | None = setting(
            None, "column of areas' names; rows with the same name, region and country are one area", metavar="COLUMN"
        )
        polygon_region: str | None = setting(
            None, "column of the regions that areas belong to, a coarser resolution", metavar="COLUMN"
        )
        polygon_country: str | None = setting(
            None, "column of the countries that areas belong to, a coarser resolution", metavar="COLUMN"
        )

    @dataclass(frozen=True)
    class Output:
        """Output"""

        output: str = setting("cells", "write cells.parquet, cells.geojson and cells.png to this folder", metavar="DIR")
        radii: list[float] = setting(
            [1.0, 25.0, 200.0, 750.0, 2500.0],
            "radii in kilometres of the accuracy of a perfect classifier",
            values.radii,
            metavar="KM,...",
        )

    photos: Photos = field(default_factory=Photos)
    cells: Cells = field(default_factory=Cells)
    output: Output = field(default_factory=Output)


@dataclass(frozen=True)
class ConfidenceSettings:
    """Settings of tools.confidence."""

    run: str = setting("", "folder of a run of train.py or eval.py", metavar="FOLDER", positional=True)
    output: str | None = setting(
        None, "folder to write to; by default, confidence/ in the folder of the run", metavar="DIR"
    )


def parse_inspect_data_settings(arguments: Sequence[str] | None = None) -> InspectDataSettings:
    """Reads and checks the flags of tools.inspect_data."""
    parser = make_parser("-m tools.inspect_data", "Print and draw what is in a data set.", InspectDataSettings)
    args = parser.parse_args(arguments)
    from datasets.cell_parameters import check_parameters

    check_parameters(args.M, args.alpha, args.N, args.L)
    if args.output:
        _check_output(args.output)
    return build(InspectDataSettings, vars(args))


def parse_preview_settings(arguments: Sequence[str] | None = None) -> PreviewSettings:
    """Reads and checks the flags of tools.preview.

    Raises:
        UsageError: if a flag is out of range or flags are in conflict.
    """
    parser = make_parser("-m tools.preview", "Draw images before and after augmentation.", PreviewSettings)
    given = flags_given(parser, arguments)
    args = parser.parse_args(arguments)
    from flags.checks import check_augmentation

    if args.dataset_folder is None:
        raise UsageError("--dataset_folder is missing: give a folder of images, or demo")
    if args.each and "augmentations" not in given:
        args.augmentations = list(AUGMENTATIONS)
    check_augmentation(args, given)
    _check_output(args.output)
    return build(PreviewSettings, vars(args))


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
    _check_files(args.checkpoints)
    _check_output(args.output, ".pth")
    if Path(args.output).resolve() in [Path(name).resolve() for name in args.checkpoints]:
        raise UsageError(f"--output {args.output}: would overwrite a member")
    return build(SoupSettings, vars(args))


def parse_export_settings(arguments: Sequence[str] | None = None) -> ExportSettings:
    """Reads and checks the flags of tools.export.

    Raises:
        UsageError: if flags are in conflict, or a file is missing or of the wrong kind.
    """
    parser = make_parser("-m tools.export", "Write a network in the format of another program.", ExportSettings)
    args = parser.parse_args(arguments)
    _check_files([args.checkpoint])
    if args.format is None:
        raise UsageError(f"--format is missing: choose from {', '.join(FORMATS)}")
    if args.int8 and args.format != "onnx":
        raise UsageError(f"--int8 and --format {args.format} are in conflict: 8 bits need --format onnx")
    if args.int8 != bool(args.calibration_folder):
        raise UsageError("--int8 and --calibration_folder need each other")
    if args.calibration_folder and not Path(args.calibration_folder).is_dir():
        raise UsageError(f"--calibration_folder {args.calibration_folder}: there is no such folder")
    if args.output is None:
        args.output = str(Path(args.checkpoint).with_suffix("")) + "_int8" * args.int8 + FORMATS[args.format]
    _check_output(args.output, FORMATS[args.format])
    if Path(args.output).resolve() == Path(args.checkpoint).resolve():
        raise UsageError(f"--output {args.output}: would overwrite the checkpoint")
    return build(ExportSettings, vars(args))


def parse_compare_settings(arguments: Sequence[str] | None = None) -> CompareSettings:
    """Reads and checks the flags of tools.compare."""
    args = make_parser("-m tools.compare", "Compare the results of runs.", CompareSettings).parse_args(arguments)
    if args.output:
        check_writable(Path(args.output), "output")
    return build(CompareSettings, vars(args))


def parse_build_cells_settings(arguments: Sequence[str] | None = None) -> BuildCellsSettings:
    """Reads and checks the flags of tools.build_cells.

    Raises:
        UsageError: if a flag is wrong, or flags are in conflict.
    """
    parser = make_parser(
        "-m tools.build_cells", "Cut the earth into cells, the classes of geolocation.", BuildCellsSettings
    )
    given = flags_given(parser, arguments)
    args = parser.parse_args(arguments)
    for name in (args.photos, args.test_photos):
        if name is not None and not Path(name).exists():
            raise UsageError(f"{name}: there is no such file or folder")
    if args.cells in CELLS:
        if (args.polygons is not None) != (args.cells in WITH_POLYGONS):
            kinds = " and ".join(WITH_POLYGONS)
            raise UsageError(f"--cells {args.cells}: --polygons belongs to {kinds}, which need it")
        columns = [name for name in ("polygon_name", "polygon_region", "polygon_country") if name in given]
        if columns and args.polygons is None:
            raise UsageError(f"--{columns[0]} needs --polygons")
    from cells.building import read_cells

    args.cell_options, args.coarser = read_cells(args.cells, args.cell_options, args.coarser)
    check_writable(Path(args.output), "output")
    return build(BuildCellsSettings, vars(args))


def parse_errors_settings(arguments: Sequence[str] | None = None) -> ErrorsSettings:
    """Reads and checks the flags of tools.errors."""
    parser = make_parser("-m tools.errors", "Show where a network finds the right place and where not.", ErrorsSettings)
    args = parser.parse_args(arguments)
    if args.output:
        check_writable(Path(args.output), "output")
    return build(ErrorsSettings, vars(args))


def parse_confidence_settings(arguments: Sequence[str] | None = None) -> ConfidenceSettings:
    """Reads and checks the flags of tools.confidence."""
    parser = make_parser("-m tools.confidence", "Show how far predictions can be trusted.", ConfidenceSettings)
    args = parser.parse_args(arguments)
    if args.output:
        check_writable(Path(args.output), "output")
    return build(ConfidenceSettings, vars(args))


def _check_output(name: str, suffix: str = "") -> None:
    if not name.endswith(suffix):
        raise UsageError(f"--output {name}: must end in {suffix}")
    if Path(name).is_dir():
        raise UsageError(f"--output {name}: is a folder; name a file")
    check_writable(Path(name).parent, "output")


def _check_files(names: Sequence[str]) -> None:
    from model.formats import is_exported

    for name in names:
        if not Path(name).is_file():
            raise UsageError(f"{name}: there is no such file")
        if is_exported(name):
            raise UsageError(
                f"{name}: this network is exported already; give the checkpoint from which it was exported"
            )
