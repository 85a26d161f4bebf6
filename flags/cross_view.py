"""Settings: street photos located by aerial images."""

from dataclasses import dataclass
from typing import ClassVar

from flags import values
from flags.settings import setting
from model.backbones import BACKBONE_NAMES

HARD_EXAMPLES = ("none", "clusters", "neighbours", "similarity")


@dataclass(frozen=True)
class ReferenceSettings:
    """Aerial images"""

    tasks: ClassVar[tuple[str, ...]] = ("cross_view",)

    tiles: list[str] = setting(
        [],
        "one or more sources of aerial images: folders z/x/y, .mbtiles, .pmtiles, rasters; by default, tiles/ in "
        "--dataset_folder",
        metavar="PATH",
        nargs="+",
        on_resume=True,
    )
    geojson: str | None = setting(
        None,
        "region that is divided into cells; by default, region.geojson in --dataset_folder, or all that tiles cover",
        metavar="FILE",
        on_resume=True,
    )
    reference_cells: int = setting(
        50_000,
        "maximum number of cells to search in the evaluation; of a larger region, the cells nearest to the photos",
        values.positive,
        metavar="N",
        on_resume=True,
    )


@dataclass(frozen=True)
class CrossViewSettings(ReferenceSettings):
    """Aerial images"""

    protocol: str | None = setting(
        None,
        "protocol of a data set of paired images with several protocols: same or cross (VIGOR), drone-satellite, "
        "satellite-drone, street-satellite or satellite-street (University-1652)",
        metavar="NAME",
    )
    cell_size: float = setting(
        30.0,
        "side of a cell in metres; closer pairs are not used as negatives",
        values.positive_float,
        metavar="METRES",
    )
    levels: int = setting(
        4,
        "number of aerial images per place, each covering twice the width of the one before",
        values.positive,
        metavar="N",
    )
    metres_per_pixel: float = setting(
        0.2, "resolution of the first aerial image of a place", values.positive_float, metavar="METRES"
    )
    aerial_size: int = setting(384, "side of aerial images in pixels", values.positive, metavar="N")
    aerial_offset: float = setting(
        10.0,
        "during training, shift aerial images at random by up to this many metres along both axes",
        values.natural_float,
        metavar="METRES",
    )
    aerial_bearing: str = setting(
        "random",
        "direction that is up in an aerial image during training: random; north; heading, the direction in which the "
        "photo was taken (random where unknown), needed to estimate headings with --bearings of localize.py. In the "
        "evaluation, north is up",
        choices=("random", "north", "heading"),
    )
    aerial_backbone: str | None = setting(
        None,
        f"backbone of aerial images: {', '.join(BACKBONE_NAMES)}, or timm:<name>; by default, that of --backbone",
        metavar="NAME",
    )
    shared_encoder: bool = setting(False, "use one backbone with the same weights for street photos and aerial images")
    hard_examples: str = setting(
        "none",
        "how the pairs of a batch are chosen: none, at random; clusters, clusters of similar pairs; neighbours, "
        "neighbours on the map; similarity, the most similar pairs, after a first epoch with neighbours on the map "
        "(docs/street_to_aerial.md)",
        choices=HARD_EXAMPLES,
    )


@dataclass(frozen=True)
class EvalCrossView(ReferenceSettings):
    """Aerial images"""

    cell_size: float | None = setting(
        None, "side of a cell in metres; by default, as in training", values.positive_float, metavar="METRES"
    )
