"""Checks of flags: the training of a location decoder, which has no images."""

import argparse
from dataclasses import fields
from pathlib import Path

from commons.errors import UsageError
from flags.augmentation import AugmentationSettings
from flags.data import ClassSettings, TrainData
from flags.evaluation import EvaluationSettings
from flags.geolocation import CellSettings, GeolocationSettings
from flags.method import ExtraSettings
from flags.network import TrainNetwork
from methods import METHODS
from metrics.geodesic import metric_named
from model.location.building import read_location_encoder

FOR_IMAGES = (TrainNetwork, AugmentationSettings, ExtraSettings, ClassSettings, EvaluationSettings, TrainData)
FOR_ANSWERS = (CellSettings, GeolocationSettings)
SINGLE = (
    "image_size", "cache_images", "cache_features", "cached_views", "decode", "loader", "layer_decay", "classifiers_lr",
    "loss", "loss_options", "miner", "miner_options",
)  # fmt: skip
TAKEN = {"polygons", "train_set_folder", "main_metric", "radii", "earth"}
REGION = "regions/usa.geojson"


def check_location_decoder(args: argparse.Namespace, given: dict) -> None:
    """Checks the flags of `--method location_decoder`.

    Raises:
        UsageError, ArgumentError: if a flag is for images, the region is missing, or a value is wrong.
    """
    foreign = [*SINGLE, *(own.name for section in (*FOR_IMAGES, *FOR_ANSWERS) for own in fields(section))]
    own = METHODS[args.method].defaults
    given = {name: value for name, value in given.items() if name not in TAKEN and own.get(name, ...) != value}
    extra = next((name for name in foreign if name in given), None)
    if extra is not None:
        raise UsageError(
            f"--{extra} and --method {args.method} are in conflict: this method trains on positions alone, of "
            "--polygons or of the table --train_set_folder"
        )
    sources = [name for name in ("polygons", "train_set_folder") if getattr(args, name) is not None]
    if not sources:
        raise UsageError(
            f"--method {args.method} needs a region: --polygons FILE, such as {REGION}, or --train_set_folder with a "
            "table of positions (.csv, .parquet)"
        )
    if len(sources) > 1:
        raise UsageError("--polygons and --train_set_folder are in conflict: both define the positions")
    for name in filter(None, (sources[0], args.encoder_weights and "encoder_weights")):
        if not Path(getattr(args, name)).is_file():
            raise UsageError(f"--{name} {getattr(args, name)}: there is no such file")
    if args.main_metric is not None:
        metric_named(args.main_metric, args.radii)
        if args.main_metric.startswith("cell "):
            raise UsageError(f"--main_metric {args.main_metric}: there are no cells; choose a distance")
    read_location_encoder(args.location_encoder, args.location_encoder_options)
