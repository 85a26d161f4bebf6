"""Towns and outlines for the map, and names of positions in the demo country."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from commons.errors import PlacewiseError, first_line
from commons.sphere import unit_vectors
from datasets.gazetteer import gazetteer
from reports.geolocation.outlines import decimals_for, encode_outlines

WORLD_EXTENT, REGION_EXTENT = 40.0, 4.0  # degrees across the map from which outlines look smooth


class Regions:
    """Named areas of a GeoJSON file with the properties name, region and country."""

    def __init__(self, file: Path) -> None:
        """Raises:
        PlacewiseError: if the file cannot be read.
        """
        try:
            features = json.loads(file.read_text(encoding="utf-8"))["features"]
            self.names = [_name(feature["properties"]) for feature in features]
            self.shorts = [str(feature["properties"]["name"]) for feature in features]
            self.outlines = np.array([shapely.geometry.shape(own["geometry"]) for own in features], dtype=object)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PlacewiseError(f"{file}: is not a GeoJSON file of named areas ({first_line(error)})") from error

    def named(self, latitude: np.ndarray, longitude: np.ndarray) -> list[str | None]:
        """Returns the names of the areas that contain positions, None outside; (n,) degrees."""
        found: list[str | None] = [None] * len(latitude)
        points = shapely.points(longitude, latitude)
        for point, area in shapely.STRtree(self.outlines).query(points, "intersects").T:
            found[point] = self.names[area]
        return found


def _name(properties: dict[str, str]) -> str:
    return ", ".join(filter(None, (properties.get(key, "") for key in ("name", "region", "country"))))


def place_names(latitude: np.ndarray, longitude: np.ndarray, regions: Regions | None) -> list[str]:
    """Returns names of positions, (n,) degrees."""
    names = [own.name for own in gazetteer().named(latitude, longitude)]
    inside = regions.named(latitude, longitude) if regions else [None] * len(names)
    return [area or name for area, name in zip(inside, names, strict=True)]


def towns_near(latitude: np.ndarray, longitude: np.ndarray, each: int = 6) -> list[tuple[str, float, float]]:
    """Returns the towns nearest to positions, (n,) degrees, as name, latitude and longitude."""
    own = gazetteer()
    _, rows = own.tree.query(unit_vectors(latitude, longitude), k=each)
    columns = [own.columns[name] for name in ("name", "latitude", "longitude")]
    return [(str(columns[0][row]), *(round(float(own[row]), 4) for own in columns[1:])) for row in np.unique(rows)]


def map_outlines(regions: Regions | None) -> dict[str, Any]:
    """Returns the countries of the world and the areas of `regions`, as the page's map draws them."""
    own = gazetteer()
    layers = [_layer(own.country_names, own.outlines, WORLD_EXTENT)]
    if regions is not None:
        layers.append(_layer(regions.shorts, regions.outlines, REGION_EXTENT))
    return {"layers": layers}


def _layer(names: Sequence[str], outlines: np.ndarray, extent: float) -> dict[str, Any]:
    largest = [max(shapely.get_parts(shape), key=lambda part: part.area) for shape in outlines]
    labels = shapely.get_coordinates([shape.representative_point() for shape in largest]).round(3)
    return {
        "names": [str(name) for name in names],
        "labels": labels.tolist(),
        "scale": 10 ** decimals_for(extent),
        "outlines": encode_outlines(outlines, extent),
    }
