"""Settings of the tools that fetch or read data: download, inspect_data, preview, build_cells."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from augmentations import AUGMENTATIONS
from cells import CELLS, WITH_POLYGONS
from commons.errors import UsageError, did_you_mean
from commons.files import check_writable
from flags import values
from flags.augmentation import AugmentationSettings
from flags.data import GridSettings
from flags.geolocation import CellKind
from flags.parsers import flags_given, make_parser
from flags.settings import build, setting
from flags.tools.files import check_output


@dataclass(frozen=True)
class DownloadSettings:
    """Settings of tools.download."""

    name: str | None = setting(
        None, "data set to download; without it, all are listed", metavar="NAME", nargs="?", positional=True
    )
    folder: str = setting("data", "download to a folder named after the data set in DIR", metavar="DIR")


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
            "draw one row per augmentation, which is applied every time; of all augmentations, unless --augmentations "
            "is given",
        )
        image_size: int = setting(512, "side of the square images in pixels, as in training", values.positive)
        seed: int = setting(0, "seed of all random numbers", values.seed)

    sheet: Sheet = field(default_factory=Sheet)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)


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
            None, "other photos with which to evaluate the cells; by default, the training photos", metavar="FILE|DIR"
        )

    @dataclass(frozen=True)
    class Output:
        """Output"""

        output: str = setting("cells", "write cells.parquet, cells.geojson and cells.png to this folder", metavar="DIR")
        radii: list[float] = setting(
            [1.0, 25.0, 200.0, 750.0, 2500.0],
            "radii in kilometres within which the accuracy of a perfect classifier is computed",
            values.radii,
            metavar="KM,...",
        )

    photos: Photos = field(default_factory=Photos)
    cells: CellKind = field(default_factory=CellKind)
    output: Output = field(default_factory=Output)


def parse_download_settings(arguments: Sequence[str] | None = None) -> DownloadSettings:
    """Reads and checks the flags of tools.download.

    Raises:
        UsageError: if there is no such data set.
    """
    parser = make_parser("-m tools.download", "Download data sets for visual place recognition.", DownloadSettings)
    args = parser.parse_args(arguments)
    from datasets.download.sources import ON_REQUEST, SOURCES

    known = (*SOURCES, *ON_REQUEST)
    if args.name is not None and args.name not in known:
        raise UsageError(f"{args.name}: is unknown{did_you_mean(args.name, known)}; choose from {', '.join(known)}")
    check_writable(Path(args.folder), "folder")
    return build(DownloadSettings, vars(args))


def parse_inspect_data_settings(arguments: Sequence[str] | None = None) -> InspectDataSettings:
    """Reads and checks the flags of tools.inspect_data."""
    parser = make_parser("-m tools.inspect_data", "Print and draw what is in a data set.", InspectDataSettings)
    args = parser.parse_args(arguments)
    from datasets.cell_parameters import check_parameters

    check_parameters(args.M, args.alpha, args.N, args.L)
    if args.output:
        check_output(args.output)
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
    check_output(args.output)
    return build(PreviewSettings, vars(args))


def parse_build_cells_settings(arguments: Sequence[str] | None = None) -> BuildCellsSettings:
    """Reads and checks the flags of tools.build_cells.

    Raises:
        UsageError: if a flag is wrong, or flags are in conflict.
    """
    parser = make_parser(
        "-m tools.build_cells", "Divide the earth into cells, the classes of geolocation.", BuildCellsSettings
    )
    given = flags_given(parser, arguments)
    args = parser.parse_args(arguments)
    for name in (args.photos, args.test_photos):
        if name is not None and not Path(name).exists():
            raise UsageError(f"{name}: there is no such file or folder")
    if args.cells in CELLS:
        if (args.polygons is not None) != (args.cells in WITH_POLYGONS):
            kinds = " and ".join(WITH_POLYGONS)
            raise UsageError(f"--cells {args.cells}: --polygons is required for {kinds}, and not used for other cells")
        columns = [name for name in ("polygon_name", "polygon_region", "polygon_country") if name in given]
        if columns and args.polygons is None:
            raise UsageError(f"--{columns[0]} needs --polygons")
    from cells.building import read_cells

    args.cell_options, args.coarser = read_cells(args.cells, args.cell_options, args.coarser)
    check_writable(Path(args.output), "output")
    return build(BuildCellsSettings, vars(args))
