"""Positions of photos as a table of text, CSV, GeoJSON and KML."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from xml.etree import ElementTree

from reports.tables import text_table

KML = "http://www.opengis.net/kml/2.2"


@dataclass(frozen=True)
class Found:
    """One answer for one photo.

    Attributes:
        photo: its path.
        rank: rank of the answer, from 1.
        latitude, longitude: degrees.
        probability: probability that the answer is right, NaN where unknown.
        similarity: similarity of the database image, NaN where there is none.
        source: name of the cell, or path of the database image.
        place: what the position is called.
        spread_km: median distance of the other answers for the photo to this one, NaN for a single answer.
        error_km: distance to the true position, NaN where it is unknown or was not asked for.
        heading: direction of the photo in degrees clockwise from north, NaN where unknown.
    """

    photo: str
    rank: int
    latitude: float
    longitude: float
    probability: float
    similarity: float
    source: str
    place: str
    spread_km: float
    error_km: float
    heading: float = math.nan


COLUMNS = tuple(Found.__dataclass_fields__)


def positions_text(found: Sequence[Found]) -> str:
    """Returns the answers as aligned text; columns that are unknown for all photos are left out."""
    shown = {
        "photo": lambda own: own.photo if own.rank == 1 else "",
        "latitude": lambda own: f"{own.latitude:.5f}",
        "longitude": lambda own: f"{own.longitude:.5f}",
        "probability": lambda own: _number(own.probability, 3),
        "similarity": lambda own: _number(own.similarity, 3),
        "heading": lambda own: _number(own.heading, 0),
        "spread km": lambda own: _number(own.spread_km, _digits(own.spread_km)) if own.rank == 1 else "",
        "error km": lambda own: _number(own.error_km, _digits(own.error_km)) if own.rank == 1 else "",
        "place": lambda own: own.place,
    }
    columns = {name: [text(own) for own in found] for name, text in shown.items()}
    width = max(map(len, columns["place"]), default=0)
    columns["place"] = [text.ljust(width) for text in columns["place"]]
    kept = {name: column for name, column in columns.items() if any(text not in ("", "–") for text in column)}
    return text_table([list(kept), *map(list, zip(*kept.values(), strict=True))])


def positions_csv(found: Sequence[Found]) -> str:
    """Returns the answers as CSV, with empty fields where something is unknown."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_field(value) for value in asdict(own).values()] for own in found)
    return stream.getvalue()


def positions_geojson(found: Sequence[Found]) -> str:
    """Returns the answers as GeoJSON (RFC 7946), a point each; what is unknown is null."""
    features = [
        {
            "type": "Feature",
            "properties": {name: _known(value) for name, value in asdict(own).items()},
            "geometry": {"type": "Point", "coordinates": [round(own.longitude, 6), round(own.latitude, 6)]},
        }
        for own in found
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False, indent=1) + "\n"


def positions_kml(found: Sequence[Found]) -> str:
    """Returns the answers as KML (OGC 12-007r2), a placemark each."""
    ElementTree.register_namespace("", KML)
    root = ElementTree.Element(f"{{{KML}}}kml")
    document = ElementTree.SubElement(root, f"{{{KML}}}Document")
    for own in found:
        mark = ElementTree.SubElement(document, f"{{{KML}}}Placemark")
        ElementTree.SubElement(mark, f"{{{KML}}}name").text = _xml(f"{own.photo} ({own.rank})")
        ElementTree.SubElement(mark, f"{{{KML}}}description").text = _xml(_description(own))
        point = ElementTree.SubElement(mark, f"{{{KML}}}Point")
        ElementTree.SubElement(point, f"{{{KML}}}coordinates").text = f"{own.longitude:.6f},{own.latitude:.6f}"
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


WRITERS = {".csv": positions_csv, ".geojson": positions_geojson, ".kml": positions_kml}


def _description(own: Found) -> str:
    share = "" if math.isnan(own.probability) else f", probability {own.probability:.3f}"
    return f"{own.place}{share}, {own.source}"


def _xml(text: str) -> str:
    """Leaves out characters that XML does not allow; file names may hold them."""
    return "".join(letter for letter in text if letter in "\t\n\r" or (ord(letter) >= 32 and not _surrogate(letter)))


def _surrogate(letter: str) -> bool:
    return 0xD800 <= ord(letter) <= 0xDFFF


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _digits(km: float) -> int:
    """Returns the decimals of a distance: metres below a kilometre."""
    return 3 if km < 1 else 1


def _field(value: object) -> object:
    return "" if isinstance(value, float) and math.isnan(value) else value


def _known(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value
