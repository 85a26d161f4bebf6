"""Checks of flags: cells, their losses, and the metrics of geolocation."""

import argparse
from pathlib import Path

from cells import WITH_POLYGONS
from cells.building import read_cells
from commons.errors import UsageError
from flags.location_checks import check_location_decoder
from losses.geolocation.building import read_cell_losses
from methods import METHODS
from metrics.geodesic import metric_named
from model.location.building import read_location_encoder

GEOLOCATION = ("geolocation", "location_embedding")  # tasks


def check_cells(args: argparse.Namespace, given: dict) -> None:
    """Checks cells and losses of train.py.

    Raises:
        UsageError, ArgumentError: if a flag is out of range, or flags do not go together.
    """
    if "cached_views" in given and args.cache_features == "none":
        raise UsageError("--cached_views needs --cache_features")
    if METHODS[args.method].task == "location_decoder":
        check_location_decoder(args, given)
        return
    if METHODS[args.method].task not in GEOLOCATION:
        if args.cache_features != "none":
            raise UsageError(
                f"--cache_features and --method {args.method} are in conflict: features are cached for geolocation, "
                "such as --method cells"
            )
        return
    for name in ("train_all_layers", "num_trainable_blocks", "freeze", "fc_init"):
        if args.cache_features != "none" and name in given:
            raise UsageError(f"--cache_features and --{name} are in conflict: the encoder is frozen")
    check_measuring(args)
    if METHODS[args.method].task == "location_embedding":
        read_location_encoder(args.location_encoder, args.location_encoder_options)
    weights, _ = read_cell_losses(args.cell_loss, args.cell_loss_options)
    for name in ("cells_file", "polygons", "decoder", "encoder_weights"):
        file = getattr(args, name)
        if file is not None and not Path(file).is_file():
            raise UsageError(f"--{name} {file}: there is no such file")
    building = [name for name in ("cells", "cell_options", "coarser", "polygons") if name in given]
    if args.cells_file and building:
        raise UsageError(f"--cells_file and --{building[0]} are in conflict: the file contains the cells")
    if args.split_by and args.val_set_folder:
        raise UsageError("--split_by and --val_set_folder are in conflict: both define the validation set")
    if args.cells_file is None:
        read_cells(args.cells, args.cell_options, args.coarser)
        if "multi_head" in weights and not args.coarser and args.cells not in WITH_POLYGONS:
            raise UsageError("--cell_loss multi_head: needs several resolutions; add --coarser")


def check_measuring(args: argparse.Namespace) -> None:
    """Checks the metrics of geolocation."""
    if args.main_metric is not None:
        metric_named(args.main_metric, args.radii)
    if args.answer == "retrieval" and not getattr(args, "gallery", None):
        where = "" if hasattr(args, "gallery") else " of eval.py"
        raise UsageError(f"--answer retrieval needs --gallery{where}, photos with known positions")
