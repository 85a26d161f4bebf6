"""Settings of localize.py."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from commons.errors import UsageError
from commons.files import CACHE, check_writable
from datasets.geocoder import PUBLIC, Geocoder
from flags import values
from flags.parsers import make_parser
from flags.run import LoaderSettings
from flags.settings import build, setting
from retrieval import INDICES

OFFLINE = "places are named by the towns that come with the program"
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
        "images of known places, for networks of place recognition, whose names, EXIF or table say where; or a "
        "database of tools.build_database, which brings its network",
        metavar="DIR",
    )
    index: str | None = setting(
        None,
        f"how to search, one of {', '.join(INDICES)}; by default, flat for images and stored for a database",
        choices=tuple(INDICES),
        explain=lambda name: import_module("retrieval.engine").index_help(name),
    )
    index_options: dict[str, str] = setting(
        {}, "options of --index, such as uri=http://127.0.0.1:19530 for milvus", values.pairs, metavar="KEY=VALUE,..."
    )
    calibration: str | None = setting(
        None, "calibration.json of an evaluation of the network, which gives probabilities", metavar="FILE"
    )
    answer: str | None = setting(
        None,
        "how a network over cells answers: best, product, mean or offset (see eval.py); by default, best",
        choices=("best", "product", "mean", "offset"),
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
class LocalizeSettings:
    """The settings of localize.py."""

    @dataclass(frozen=True)
    class Photos:
        """Photos"""

        photos: list[str] = setting(
            [], "photos, folders of photos, or text files with a path in each line", metavar="PHOTO", nargs="+",
            positional=True,
        )  # fmt: skip
        top_k: int = setting(5, "number of positions for each photo", values.positive, metavar="K")
        output: list[str] = setting(
            [],
            f"also write the positions to these files ({', '.join(FORMATS)}); .html is a map",
            metavar="FILE",
            nargs="+",
        )
        compare_exif: bool = setting(
            False, "print how far the first position is from the GPS position in the photo's EXIF data, if it has one"
        )
        geocoder: str | None = setting(
            None,
            "ask this Nominatim server for the address of the first position of each photo; without a URL, that of "
            f"OpenStreetMap, which gets these positions. By default, no server is asked: {OFFLINE}",
            nargs="?",
            const=PUBLIC,
            metavar="URL",
        )

    photos: Photos = field(default_factory=Photos)
    network: LocateSettings = field(default_factory=LocateSettings)
    run: LoaderSettings = field(default_factory=LoaderSettings)


def parse_localize_settings(arguments: Sequence[str] | None = None) -> LocalizeSettings:
    """Reads and checks the flags of localize.py; one --image_size becomes a number.

    Raises:
        UsageError: if a flag is wrong.
    """
    parser = make_parser("localize.py", "Find where photos were taken.", LocalizeSettings)
    args = parser.parse_args(arguments)
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


def check_locate(args: object) -> None:
    """Checks the flags of `LocateSettings`."""
    stored = Path(args.database or "") / "network.pth"
    if not args.resume_model and args.database and stored.with_name("manifest.json").is_file():
        args.resume_model = [str(stored)]
    if args.index_options and args.index is None:
        raise UsageError("--index_options needs --index")
    if args.index is not None:
        args.index_options = import_module("retrieval.engine").read_engine(args.index, args.index_options).options
    if not args.resume_model:
        raise UsageError("--resume_model is missing: a best_model.pth of train.py, of any task")
    for name in ("resume_model", "calibration"):
        for file in filter(None, [getattr(args, name)] if name == "calibration" else getattr(args, name)):
            if not Path(file).is_file():
                raise UsageError(f"--{name} {file}: there is no such file")
    values.check_image_size(args)
