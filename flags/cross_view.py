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
        "search at most N cells in the evaluation, those nearest to the photos if the region has more",
        values.positive,
        metavar="N",
        on_resume=True,
    )


@dataclass(frozen=True)
class CrossViewSettings(ReferenceSettings):
    """Aerial images"""

    protocol: str | None = setting(
        None,
        "which training and test images, where data of paired images have several ways: same or cross (VIGOR), "
        "drone-satellite, satellite-drone, street-satellite or satellite-street (University-1652)",
        metavar="NAME",
    )
    cell_size: float = setting(
        30.0, "side of a cell in metres; nearer pairs are no negatives", values.positive_float, metavar="METRES"
    )
    levels: int = setting(
        4, "aerial images of a place, each twice as wide as the one before", values.positive, metavar="N"
    )
    metres_per_pixel: float = setting(
        0.2, "resolution of the first of them", values.positive_float, metavar="METRES"
    )
    aerial_size: int = setting(384, "side of aerial images in pixels", values.positive, metavar="N")
    aerial_offset: float = setting(
        10.0,
        "in training, aerial images are moved to the east and to the north by up to so many metres",
        values.natural_float,
        metavar="METRES",
    )
    aerial_bearing: str = setting(
        "random",
        "what is up in an aerial image in training: random, any direction; north; heading, the direction in which the "
        "photo was taken (random where it is unknown), so that --bearings of localize.py can tell headings. In the "
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
        "pairs in a batch: none, random ones; clusters of similar ones; neighbours on the map; similarity, neighbours "
        "by similarity after an epoch of neighbours on the map (docs/street_to_aerial.md)",
        choices=HARD_EXAMPLES,
    )


@dataclass(frozen=True)
class EvalCrossView(ReferenceSettings):
    """Aerial images"""

    cell_size: float | None = setting(
        None, "side of a cell in metres; by default, as in training", values.positive_float, metavar="METRES"
    )
