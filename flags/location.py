"""Settings: the encoder of positions."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from commons.options import help_text
from flags import values
from flags.settings import setting
from model.location import LOCATION_ENCODERS


@dataclass(frozen=True)
class LocationEncoderSettings:
    """Location encoder"""

    tasks: ClassVar[tuple[str, ...]] = ("location_embedding", "location_decoder")

    location_encoder: str = setting(
        "geoclip",
        f"network that maps positions to embeddings: {', '.join(LOCATION_ENCODERS)}",
        metavar="NAME",
        explain=partial(help_text, "location_encoder", registry=LOCATION_ENCODERS),
    )
    location_encoder_options: dict[str, str] = setting(
        {}, "options of the location encoder", values.pairs, metavar="KEY=VALUE,...", follows=("location_encoder",)
    )
    encoder_weights: str | None = setting(
        None,
        "weights of the location encoder; by default, the published weights, or random ones if none are published",
        metavar="FILE",
    )


@dataclass(frozen=True)
class RegionSettings:
    """Region of a location decoder"""

    tasks: ClassVar[tuple[str, ...]] = ("location_decoder",)

    train_points: int = setting(
        200_000,
        "number of training positions, drawn at random in --polygons or taken from the table --train_set_folder",
        values.positive,
    )
    test_points: int = setting(
        1_000,
        "number of held-out positions for validation, and as many others for the test; of a table, at most a tenth "
        "each",
        values.positive,
    )
