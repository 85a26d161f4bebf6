"""Settings of tools.location_decoder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from commons.errors import UsageError
from commons.files import check_writable
from flags import values
from flags.location import LocationEncoderSettings
from flags.parsers import flags_given, make_parser
from flags.run import DeviceSettings
from flags.settings import build, setting
from losses.location import POSITION_LOSSES


@dataclass(frozen=True)
class LocationDecoderSettings:
    """Settings of tools.location_decoder."""

    @dataclass(frozen=True)
    class Region:
        """Region"""

        region: str | None = setting(
            None,
            "polygons (GeoJSON, TopoJSON, shapefile, GeoPackage), over whose area positions are drawn uniformly; or a "
            "table with latitude and longitude (.csv, .parquet)",
            metavar="FILE",
        )
        train_points: int = setting(
            200_000, "number of positions to train with, which are the gallery, too", values.positive
        )
        val_points: int = setting(1_000, "number of positions that settings are chosen with", values.positive)
        test_points: int = setting(1_000, "number of positions that the errors are measured with", values.positive)

    @dataclass(frozen=True)
    class Training:
        """Training"""

        seconds: float = setting(120.0, "train for X seconds of processor time", values.positive_float)
        iterations: int | None = setting(None, "train for N batches instead", values.positive, metavar="N")
        batch_size: int = setting(2048, "positions per batch", values.positive)
        optimizer: str = setting("muon", "name of an optimizer, as in train.py", metavar="NAME")
        lr: float = setting(2e-2, "learning rate", values.positive_float)
        weight_decay: float = setting(1e-2, "weight decay", values.natural_float, metavar="X")
        scheduler: str = setting("onecycle", "schedule of the learning rate", choices=("none", "cosine", "onecycle"))
        loss: str = setting(
            "chord",
            "loss between positions",
            choices=tuple(POSITION_LOSSES),
        )
        seed: int = setting(0, "seed of all random numbers", values.seed)

    @dataclass(frozen=True)
    class Output:
        """Output"""

        output: str = setting(
            "location_decoder", "write decoder.pth, decoders.json and last_checkpoint.pth to this folder", metavar="DIR"
        )
        resume: bool = setting(False, "continue the training in --output")
        descent: bool = setting(True, "include the decoders that descend through the encoder, which take longest")

    region: Region = field(default_factory=Region)
    encoder: LocationEncoderSettings = field(default_factory=LocationEncoderSettings)
    training: Training = field(default_factory=Training)
    output: Output = field(default_factory=Output)
    run: DeviceSettings = field(default_factory=DeviceSettings)


def parse_location_decoder_settings(arguments: Sequence[str] | None = None) -> LocationDecoderSettings:
    """Reads and checks the flags of tools.location_decoder.

    Raises:
        UsageError: if a flag is wrong, or flags are in conflict.
    """
    parser = make_parser(
        "-m tools.location_decoder",
        "Train a decoder from location embeddings to positions, and compare all decoders.",
        LocationDecoderSettings,
    )
    given = flags_given(parser, arguments)
    args = parser.parse_args(arguments)
    if args.region is None:
        raise UsageError("--region is missing: give polygons or a table of positions, such as regions/usa.geojson")
    if not Path(args.region).is_file():
        raise UsageError(f"--region {args.region}: there is no such file")
    if "seconds" in given and "iterations" in given:
        raise UsageError("--seconds and --iterations are in conflict: give one of them")
    from model.location.building import read_location_encoder
    from training.optimizers import check_optimizer

    args.location_encoder_options = read_location_encoder(args.location_encoder, args.location_encoder_options)
    check_optimizer(args.optimizer, {})
    check_writable(Path(args.output), "output")
    return build(LocationDecoderSettings, vars(args))
