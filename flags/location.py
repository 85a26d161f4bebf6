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

    tasks: ClassVar[tuple[str, ...]] = ("location_embedding",)

    location_encoder: str = setting(
        "geoclip",
        f"network from positions to embeddings: {', '.join(LOCATION_ENCODERS)}",
        metavar="NAME",
        explain=partial(help_text, "location_encoder", registry=LOCATION_ENCODERS),
    )
    location_encoder_options: dict[str, str] = setting(
        {}, "options of the location encoder", values.pairs, metavar="KEY=VALUE,...", follows=("location_encoder",)
    )
    encoder_weights: str | None = setting(
        None,
        "weights of the location encoder; by default, published ones, or random ones where there are none",
        metavar="FILE",
    )
