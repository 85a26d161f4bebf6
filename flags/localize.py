"""Settings of localize.py."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from commons.errors import UsageError
from commons.files import CACHE, check_writable
from datasets.geocoder import PUBLIC, Geocoder
from demo.sizes import AERIALS, SIZES
from flags import values
from flags.parsers import make_parser
from flags.region_checks import check_regions
from flags.run import LoaderSettings
from flags.settings import build, setting
from retrieval import INDICES

OFFLINE = "places are named after the towns in a list that comes with the program"
FORMATS = (".csv", ".geojson", ".kml", ".html")


@dataclass(frozen=True)
class LocateSettings:
    """Network"""

    resume_model: list[str] = setting(
        [],
        "checkpoint of train.py of any task, or file of tools.export; several files form an ensemble",
        metavar="FILE",
        nargs="+",
    )
    database: str | None = setting(
        None,
        "for networks of place recognition: images with positions in their names, their EXIF data or a table; or a "
        "database of tools.build_database, which contains its network",
        metavar="DIR",
    )
    index: str | None = setting(
        None,
        f"index to search with: {', '.join(INDICES)}; by default, flat for images and stored for a database",
        choices=tuple(INDICES),
        explain=lambda name: import_module("retrieval.engine").index_help(name),
    )
    index_options: dict[str, str] = setting(
        {}, "options of --index, such as uri=http://127.0.0.1:19530 for milvus", values.pairs, metavar="KEY=VALUE,..."
    )
    calibration: str | None = setting(
        None, "calibration.json of an evaluation of the network, needed for probabilities", metavar="FILE"
    )
    answer: str | None = setting(
        None,
        "how a position is predicted from cells: best, product, mean or offset; from location embeddings: gallery, "
        "softmax, decoder or region (see eval.py). Default: best, or softmax",
        choices=("best", "product", "mean", "offset", "gallery", "softmax", "decoder", "region"),
    )
    decoder: str | None = setting(
        None, "best_model.pth of --method location_decoder, for --answer decoder and region", metavar="FILE"
    )
    image_size: int | list[int] | None = setting(
        None,
        "resize the shorter side of photos to N pixels, or photos to this height and width; by default, as in training",
        values.positive,
        nargs="+",
        metavar="N",
    )

    @property
    def engine(self) -> object | None:
        """The index with its options; None for the default."""
        return None if self.index is None else import_module("retrieval.engine").Engine(self.index, self.index_options)


@dataclass(frozen=True)
class AerialSettings:
    """Street photos located by aerial images"""

    reference: str | None = setting(
        None, "database of create_reference_database.py, which contains its network", metavar="DIR"
    )
    bearings: int | None = setting(
        None,
        "extract descriptors of the best cells at N bearings; the most similar one is the heading of the photo. By "
        "default, no heading is predicted",
        values.positive,
        metavar="N",
    )
    refine: float | None = setting(
        None,
        "extract descriptors of positions every METRES in the best cells, and predict the most similar one; by "
        "default, the centres of cells are predicted",
        values.positive_float,
        metavar="METRES",
    )
    tiles: list[str] = setting(
        [],
        "aerial images for --bearings and --refine; by default, those from which the database was built",
        metavar="PATH",
        nargs="+",
    )

    def options(self, step_m: float | None = None) -> object | None:
        """How street photos are located (`tasks.locating.AerialOptions`); None without a database of cells."""
        kind = import_module("tasks.locating").AerialOptions
        return self.reference and kind(self.reference, self.tiles, self.bearings or 0, self.refine or 0.0, step_m)


@dataclass(frozen=True)
class LocalizeSettings:
    """The settings of localize.py."""

    @dataclass(frozen=True)
    class Photos:
        """Photos"""

        photos: list[str] = setting(
            [], "photos, folders of photos, or text files with one path per line", metavar="PHOTO", nargs="*",
            positional=True,
        )  # fmt: skip
        top_k: int = setting(5, "number of positions per photo", values.positive, metavar="K")
        output: list[str] = setting(
            [],
            f"also write the positions to these files ({', '.join(FORMATS)}); .html is a map",
            metavar="FILE",
            nargs="+",
        )
        compare_exif: bool = setting(
            False, "print the distance of the first position from the GPS position in the photo's EXIF data, if any"
        )
        geocoder: str | None = setting(
            None,
            "request the address of the first position of each photo from this Nominatim server; without a URL, from "
            f"that of OpenStreetMap, to which the positions are sent. By default, no server is contacted: {OFFLINE}",
            nargs="?",
            const=PUBLIC,
            metavar="URL",
        )

    @dataclass(frozen=True)
    class Queries:
        """Measurements and paths (--reference)"""

        query: str | None = setting(
            None, "folder of photos with positions: print Recall@k<r instead of the answers", metavar="DIR"
        )
        stride: int = setting(1, "use every N-th photo of --query", values.positive, metavar="N")
        sequence: float | None = setting(
            None,
            "treat the photos of a folder as a path, in the order of their frames, times or names, and let them vote "
            "together; consecutive photos are at most METRES apart (50 if no number is given)",
            values.positive_float,
            metavar="METRES",
            nargs="?",
            const=50.0,
        )

    photos: Photos = field(default_factory=Photos)
    network: LocateSettings = field(default_factory=LocateSettings)
    aerial: AerialSettings = field(default_factory=AerialSettings)
    queries: Queries = field(default_factory=Queries)
    run: LoaderSettings = field(default_factory=LoaderSettings)


def parse_localize_settings(arguments: Sequence[str] | None = None) -> LocalizeSettings:
    """Reads and checks the flags of localize.py; one --image_size becomes a number.

    Raises:
        UsageError: if a flag is wrong.
    """
    parser = make_parser("localize.py", "Find where photos were taken.", LocalizeSettings)
    args = parser.parse_args(arguments)
    _check_queries(args)
    check_locate(args)
    if args.geocoder:
        Geocoder(args.geocoder, CACHE)
    for name in args.photos:
        if not Path(name).exists():
            raise UsageError(f"{name}: there is no such file or folder")
    for name in args.output:
        if Path(name).suffix.lower() not in FORMATS:
            raise UsageError(f"--output {name}: must end in {', '.join(FORMATS)}")
        check_writable(Path(name).parent, "output")
    return build(LocalizeSettings, vars(args))


def _check_queries(args: object) -> None:
    if args.query is None and not args.photos:
        raise UsageError("photos are missing: name photos or folders, or --query with --reference")
    for name in ("query", "sequence"):
        if getattr(args, name) is not None and args.reference is None:
            raise UsageError(f"--{name} needs --reference")
    if args.query is None:
        if args.stride != 1:
            raise UsageError("--stride needs --query")
        return
    if args.photos:
        raise UsageError(f"{args.photos[0]}: give either photos or --query")
    if args.compare_exif:
        raise UsageError(
            "--compare_exif and --query are in conflict: --query compares with the positions of the photos already"
        )
    if args.geocoder:
        raise UsageError("--geocoder and --query are in conflict: --query measures distances only")
    if not (Path(args.query).is_dir() or Path(args.query).parts[0] in {*AERIALS, *SIZES}):
        raise UsageError(f"--query {args.query}: there is no such folder")


def check_locate(args: object) -> None:
    """Checks the flags of `LocateSettings` and `AerialSettings`."""
    check_aerial(args)
    if args.reference is not None:
        return
    stored = Path(args.database or "") / "network.pth"
    if not args.resume_model and args.database and stored.with_name("manifest.json").is_file():
        args.resume_model = [str(stored)]
    if args.index_options and args.index is None:
        raise UsageError("--index_options needs --index")
    if args.index is not None:
        args.index_options = import_module("retrieval.engine").read_engine(args.index, args.index_options).options
    if not args.resume_model:
        raise UsageError(
            "--resume_model is missing: give a best_model.pth of train.py, of any task, or use --reference"
        )
    files = [("resume_model", file) for file in args.resume_model]
    for name, file in [*files, ("calibration", args.calibration), ("decoder", args.decoder)]:
        if file and not Path(file).is_file():
            raise UsageError(f"--{name} {file}: there is no such file")
    if args.answer in ("decoder", "region") and args.decoder is None:
        raise UsageError(f"--answer {args.answer} needs --decoder")
    values.check_image_size(args)


def check_aerial(args: object) -> None:
    """Checks the flags of `AerialSettings`, and that no others for networks stand beside --reference."""
    if args.reference is None:
        for name in ("bearings", "refine", "tiles"):
            if getattr(args, name):
                raise UsageError(f"--{name} needs --reference")
        return
    if args.resume_model:
        raise UsageError("--reference contains its network; leave out --resume_model")
    for name in ("database", "index", "index_options", "calibration", "answer", "decoder", "image_size"):
        if getattr(args, name):
            raise UsageError(f"--{name} cannot be used with --reference")
    if not Path(args.reference).is_dir():
        raise UsageError(f"--reference {args.reference}: there is no such folder; see create_reference_database.py")
    if args.bearings == 1:
        raise UsageError("--bearings 1: give 2 or more directions, such as 16")
    if args.tiles and not (args.bearings or args.refine):
        raise UsageError("--tiles needs --bearings or --refine")
    check_regions(args)
