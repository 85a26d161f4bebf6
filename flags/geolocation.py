"""Settings: cells of the earth, their losses, and how positions are answered and measured."""

from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

from cells import CELLS
from flags import values
from flags.settings import setting
from losses.geolocation import CELL_LOSSES

RADII = [1.0, 25.0, 200.0, 750.0, 2500.0]


@dataclass(frozen=True)
class CellKind:
    """Cells"""

    cells: str = setting(
        "s2",
        f"kind of cells: {', '.join(CELLS)}",
        metavar="NAME",
        explain=lambda name: import_module("cells.building").cells_help(name),
    )
    cell_options: dict[str, str] = setting(
        {},
        "options of the cells; --help_cells NAME lists them",
        values.pairs,
        metavar="KEY=VALUE,...",
        follows=("cells",),
    )
    coarser: list[str] = setting(
        [],
        "additional coarser resolutions, as values of the option that sets the size of cells, e.g. 2000,5000 for s2",
        values.names,
        metavar="VALUE,...",
        follows=("cells",),
    )
    polygons: str | None = setting(
        None,
        "file of the areas for admin and admin_optics, or of the region for --method location_decoder: GeoJSON, "
        "TopoJSON, shapefile, GeoPackage",
        metavar="FILE",
    )
    polygon_name: str | None = setting(
        None,
        "column with the names of areas; rows with the same name, region and country form one area",
        metavar="COLUMN",
    )
    polygon_region: str | None = setting(
        None, "column with the regions to which areas belong, a coarser resolution", metavar="COLUMN"
    )
    polygon_country: str | None = setting(
        None, "column with the countries to which areas belong, a coarser resolution", metavar="COLUMN"
    )


@dataclass(frozen=True)
class CellSettings(CellKind):
    """Cells and their losses"""

    tasks: ClassVar[tuple[str, ...]] = ("geolocation", "location_embedding", "location_decoder")

    cells_file: str | None = setting(
        None,
        "use the cells of this file, a cells.parquet of tools.build_cells, instead of building cells",
        metavar="FILE",
    )
    cell_loss: list[str] = setting(
        ["cross_entropy"],
        f"losses over cells, each with its weight: {', '.join(CELL_LOSSES)}",
        values.names,
        metavar="NAME=WEIGHT,...",
        explain=lambda name: import_module("losses.geolocation.building").cell_loss_help(name),
    )
    cell_loss_options: dict[str, str] = setting(
        {},
        "options of these losses, such as haversine.tau=65; --help_cell_loss NAME lists them",
        values.pairs,
        metavar="NAME.KEY=VALUE,...",
        entries_of="cell_loss",
    )
    split_by: str | None = setting(
        None,
        "if there is no validation set, split one from the training photos, keeping together all photos of a user, of "
        "a sequence, or of an S2 cell of about 10 km",
        choices=("user", "sequence", "cell"),
    )
    val_share: float = setting(
        0.1, "share of the photos that --split_by uses for validation", values.fraction, metavar="SHARE"
    )


@dataclass(frozen=True)
class GeolocationSettings:
    """Geolocation"""

    tasks: ClassVar[tuple[str, ...]] = ("geolocation", "location_embedding", "location_decoder")

    main_metric: str | None = setting(
        None,
        "metric that selects the best epoch: within 1 km (or another of --radii), median km, mean km, GeoScore, cell "
        "top-1; by default, within 25 km",
        metavar="NAME",
    )
    answer: str | None = setting(
        None,
        "how a position is predicted: best, the point of the most probable cell; product, of probabilities over "
        "nested resolutions; mean, of the best five cells; offset, within the best cell; retrieval, the most similar "
        "photo of --gallery within the best five cells. With location embeddings: gallery, the most similar position; "
        "softmax, the mean of the eight most similar ones; decoder, that of --decoder; region, decoder within the "
        "most probable cell. All possible ones are evaluated. Default: best, or softmax with location embeddings",
        choices=("best", "product", "mean", "offset", "retrieval", "gallery", "softmax", "decoder", "region"),
    )
    decoder: str | None = setting(
        None, "best_model.pth of --method location_decoder, which decodes location embeddings", metavar="FILE"
    )
    radii: list[float] = setting(
        RADII,
        "radii in kilometres; the share of photos located within each of them is reported",
        values.radii,
        metavar="KM,...",
        changes_result=False,
    )
    earth: str = setting(
        "sphere",
        "sphere computes great-circle distances on a sphere; wgs84 computes geodesics on the ellipsoid, which differ "
        "by at most 0.56 %",
        choices=("sphere", "wgs84"),
    )


@dataclass(frozen=True)
class EvalGeolocation(GeolocationSettings):
    """Geolocation"""

    gallery: str | None = setting(
        None,
        "photos with positions, such as the training photos, for --answer retrieval; with location embeddings, the "
        "candidate positions, instead of those of the training photos; with a location decoder, polygons or a table "
        "of positions to compare it with",
        metavar="FILE|DIR",
    )
