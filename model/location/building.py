"""Location encoders from names, options and files of weights."""

from collections.abc import Mapping
from pathlib import Path

import torch

from commons.checkpoints import load_checkpoint
from commons.errors import PlacewiseError, first_line
from commons.options import Options, check_name, read_options
from model.location import LOCATION_ENCODERS
from model.location.encoder import LocationEncoder
from model.location.geoclip import installed_weights

PUBLISHED = {"geoclip": installed_weights}


def read_location_encoder(name: str, given: Mapping[str, str]) -> Options:
    """Checks the name of a location encoder and returns all its options.

    Raises:
        ArgumentError: if the name or an option is unknown, or a value is wrong.
    """
    check_name("location_encoder", name, LOCATION_ENCODERS)
    return read_options("location_encoder", name, LOCATION_ENCODERS[name], given)


def build_location_encoder(
    name: str, options: Options | None = None, weights: str | Path | None = None, seed: int | None = None
) -> LocationEncoder:
    """Builds a location encoder.

    Args:
        name: one of LOCATION_ENCODERS.
        options: options that differ from the defaults.
        weights: file of a state dict; by default the published weights, if there are any.
        seed: seed of random weights, which are then used instead of published ones; the generators of the program are
            left as they are.

    Raises:
        PlacewiseError: if the weights are not there, or do not fit.
    """
    if weights is None and seed is None and name in PUBLISHED:
        weights = PUBLISHED[name]()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed or 0)
        encoder = LOCATION_ENCODERS[name](**options or {})
    if weights is None:
        return encoder
    try:
        encoder.load_state_dict(load_checkpoint(weights))
    except RuntimeError as error:
        raise PlacewiseError(f"{weights}: these weights do not fit {name} ({first_line(error)})") from error
    return encoder
