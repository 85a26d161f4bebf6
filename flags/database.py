"""Settings of tools.build_database."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from commons.errors import UsageError
from commons.files import check_writable
from flags import values
from flags.parsers import flags_given, make_parser
from flags.run import LoaderSettings
from flags.settings import build, setting
from retrieval import DESCRIPTOR_TYPES

KINDS = ("ivf_fp16", "ivf_sq8", "flat")
KEPT = ("index", "index_options", "image_size", "descriptor_type", "first_dimensions")  # by a database


@dataclass(frozen=True)
class BuildDatabaseSettings:
    """Settings of tools.build_database."""

    @dataclass(frozen=True)
    class Photos:
        """Database"""

        output: str = setting("", "folder of the database", metavar="DIR")
        images: str | None = setting(
            None, "images with positions: a folder, or a table (.csv, .parquet)", metavar="DIR|TABLE"
        )
        append: bool = setting(False, "add the images that the database does not contain yet")
        remove: str | None = setting(
            None, "remove the images whose paths are listed in this text file, one per line", metavar="LIST"
        )
        check: bool = setting(False, "verify the checksums of all files without changing anything")

    @dataclass(frozen=True)
    class Network:
        """Network"""

        resume_model: str | None = setting(
            None, "best_model.pth of place recognition; when a database is changed, its own network is the default",
            metavar="FILE",
        )  # fmt: skip
        image_size: int | list[int] | None = setting(
            None,
            "resize the shorter side of images to N pixels, or images to this height and width; by default, as in "
            "training",
            values.positive,
            nargs="+",
            metavar="N",
        )
        infer_batch_size: int = setting(16, "images per batch", values.positive)
        first_dimensions: int = setting(
            0,
            "keep the first D dimensions of the descriptors, for networks that were trained with --matryoshka; 0 for "
            "all",
            values.natural,
            metavar="D",
        )

    @dataclass(frozen=True)
    class Index:
        """Descriptors and index"""

        descriptor_type: str = setting(
            "float16",
            "type in which descriptors are stored: int8 is one byte per dimension, binary one bit (docs/compact.md)",
            choices=DESCRIPTOR_TYPES,
        )
        index: str = setting(
            "ivf_fp16",
            "index on disk; flat builds no index and searches the descriptors exactly",
            choices=KINDS,
            explain=lambda name: import_module("retrieval.engine").index_help(name),
        )
        index_options: dict[str, str] = setting({}, "options of the index", values.pairs, metavar="KEY=VALUE,...")

    photos: Photos = field(default_factory=Photos)
    network: Network = field(default_factory=Network)
    index: Index = field(default_factory=Index)
    run: LoaderSettings = field(default_factory=LoaderSettings)


def parse_build_database_settings(arguments: Sequence[str] | None = None) -> BuildDatabaseSettings:
    """Reads and checks the flags of tools.build_database.

    Raises:
        UsageError: if a flag is wrong, or flags are in conflict.
    """
    description = "Extract the descriptors of photos once, for eval.py and localize.py."
    parser = make_parser("-m tools.build_database", description, BuildDatabaseSettings)
    given = flags_given(parser, arguments)
    args = parser.parse_args(arguments)
    if not args.output:
        raise UsageError("--output is missing: the folder of the database")
    actions = [name for name in ("images", "remove", "check") if getattr(args, name)]
    if len(actions) != 1:
        raise UsageError("give one of --images, --remove and --check")
    if args.append and not args.images:
        raise UsageError("--append needs --images")
    for name in ("images", "remove", "resume_model"):
        file = getattr(args, name)
        if file and not (Path(file).is_file() or name == "images" and Path(file).is_dir()):
            raise UsageError(f"--{name} {file}: there is no such file{' or folder' if name == 'images' else ''}")
    changed = args.append or not args.images
    for name in KEPT if changed else ():
        if name in given:
            raise UsageError(f"--{name}: cannot be changed once a database is built; leave it out")
    values.check_image_size(args)
    args.index_options = import_module("retrieval.engine").read_engine(args.index, args.index_options).options
    check_writable(Path(args.output), "output")
    return build(BuildDatabaseSettings, vars(args))
