"""Positions of photos as text, CSV, GeoJSON and KML."""

import csv
import io
import json
from xml.etree import ElementTree

import numpy as np

from reports.positions import Found, positions_csv, positions_geojson, positions_kml, positions_text

NAN = float("nan")
FOUND = [
    Found("a & b.jpg", 1, 55.5, 9.25, 0.75, NAN, "cell 1", "Ry, Denmark", 12.0, 3.0),
    Found("a & b.jpg", 2, 56.0, 10.0, 0.25, NAN, "cell 2", "Århus, Denmark", 12.0, NAN),
]


def test_text_names_each_photo_once_and_leaves_out_what_is_unknown():
    header, _, first, second = positions_text(FOUND).splitlines()
    assert "similarity" not in header and "probability" in header
    assert first.split()[:3] == ["a", "&", "b.jpg"] and "55.50000" in first and first.endswith("Ry, Denmark   ")
    assert "a & b" not in second and "12.0" not in second


def test_csv_has_empty_fields_for_the_unknown():
    first, second = csv.DictReader(io.StringIO(positions_csv(FOUND)))
    assert (first["similarity"], first["error_km"], second["error_km"]) == ("", "3.0", "")
    assert float(second["latitude"]) == 56.0


def test_geojson_is_strict_and_has_longitude_first():
    made = json.loads(positions_geojson(FOUND), parse_constant=lambda name: 1 / 0)
    first = made["features"][0]
    assert first["geometry"] == {"type": "Point", "coordinates": [9.25, 55.5]}
    assert first["properties"]["similarity"] is None and first["properties"]["rank"] == 1


def test_kml_is_xml_with_a_placemark_for_each_answer_whatever_files_are_called():
    odd = [*FOUND, Found("bell\x07<i>.jpg", 1, np.float64(1.0), 2.0, NAN, NAN, "x", "y", NAN, NAN)]
    root = ElementTree.fromstring(positions_kml(odd).encode())
    marks = root.findall(".//{http://www.opengis.net/kml/2.2}Placemark")
    assert [mark[0].text for mark in marks] == ["a & b.jpg (1)", "a & b.jpg (2)", "bell<i>.jpg (1)"]
    assert marks[0][2][0].text == "9.250000,55.500000"


def test_headings_and_short_distances():
    near = [Found("a.jpg", 1, 50.0, 8.0, 0.5, 0.9, "cell 7", "here", 0.03, 0.0124, 135.0)]
    header, _, row = positions_text(near).splitlines()
    assert header.split()[-6:] == ["heading", "spread", "km", "error", "km", "place"]
    assert row.split()[-4:] == ["135", "0.030", "0.012", "here"]
    assert "heading" not in positions_text(FOUND)
    assert next(csv.DictReader(io.StringIO(positions_csv(near))))["heading"] == "135.0"
