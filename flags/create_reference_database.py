"""Settings of create_reference_database.py."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from commons.errors import UsageError
from commons.files import check_writable
from flags import values
from flags.parsers import make_parser
from flags.region_checks import check_regions
from flags.run import DeviceSettings
from flags.settings import build, setting
from retrieval import CELL_INDICES

CHECKPOINT = "best_model.pth"


@dataclass(frozen=True)
class ReferenceDatabaseSettings:
    """Settings of create_reference_database.py."""

    @dataclass(frozen=True)
    class Region:
        """Region"""

        train: str = setting("", "run of --method street_to_aerial, or its best_model.pth", metavar="RUN|FILE")
        output: str = setting(
            "", "folder of the database; an interrupted build is continued by the same command", metavar="DIR"
        )
        tiles: list[str] = setting(
            [],
            "one or more sources of aerial images: folders z/x/y, .mbtiles, .pmtiles, rasters; by default, those of "
            "the training",
            nargs="+",
            metavar="PATH",
        )
        geojson: str | None = setting(
            None, "region that is divided into cells; by default, all that the tiles cover", metavar="FILE"
        )
        cell_size: float | None = setting(
            None, "side of a cell in metres; by default, as in training", values.positive_float, metavar="METRES"
        )

    @dataclass(frozen=True)
    class Files:
        """Descriptors and index"""

        descriptor_type: str = setting(
            "float32",
            "data type of the descriptors on disk; float16 needs half the space",
            choices=("float32", "float16"),
        )
        index: str = setting(
            "auto",
            "flat: exact search; hnsw: HNSW64 as published, which keeps all descriptors in memory; ivfpq: product "
            "quantization with 64 bytes per cell, for the largest regions. auto: flat up to 250,000 cells, above that "
            "hnsw if it fits into half of the memory, otherwise ivfpq",
            choices=CELL_INDICES,
        )

    @dataclass(frozen=True)
    class Device(DeviceSettings):
        """Device"""

        batch_size: int = setting(16, "cells per batch", values.positive)
        cache_mb: int = setting(
            512, "megabytes of decoded tiles that each process caches on the device", values.positive
        )

    region: Region = field(default_factory=Region)
    files: Files = field(default_factory=Files)
    run: Device = field(default_factory=Device)


def parse_reference_database_settings(arguments: Sequence[str] | None = None) -> ReferenceDatabaseSettings:
    """Reads and checks the flags of create_reference_database.py.

    Raises:
        UsageError: if a flag is wrong or missing, or names a file that is not there.
    """
    description = "Extract the descriptors of all aerial cells of a region, for the search of localize.py."
    parser = make_parser("create_reference_database.py", description, ReferenceDatabaseSettings)
    args = parser.parse_args(arguments)
    if not args.output:
        raise UsageError("--output is missing: the folder of the database")
    if not args.train:
        raise UsageError("--train is missing: a run of train.py --method street_to_aerial")
    given = Path(args.train)
    checkpoint = given / CHECKPOINT if given.is_dir() else given
    if not checkpoint.is_file():
        raise UsageError(f"--train {given}: there is no {CHECKPOINT if given.is_dir() else 'such file'}")
    args.train = str(checkpoint)
    check_regions(args)
    check_writable(Path(args.output), "output")
    return build(ReferenceDatabaseSettings, vars(args))
