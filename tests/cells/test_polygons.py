import json
import logging
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from cells.polygons import areas_km2, centres_of, read_polygons
from commons.errors import ArgumentError, PlacewiseError
from tests.cells.worlds import box, boxes

BOW = [[0, 0], [2, 2], [2, 0], [0, 2]]  # crosses itself; two triangles of area 1


def test_areas_of_one_name_are_united(tmp_path: Path):
    file = boxes(
        tmp_path / "a.geojson",
        [box(0, 0, 1, 1), box(5, 0, 6, 1), box(1, 0, 2, 1), box(8, 0, 9, 1)],
        KOMNAVN=["A", "B", "A", "A"],
        land=["x", "x", "x", "y"],
    )
    areas = read_polygons(file)
    assert areas.names.tolist() == ["A", "B"] and areas.regions.tolist() == ["", ""]
    assert shapely.area(areas.shapes).tolist() == [3, 1]
    areas = read_polygons(file, region="land")
    assert list(zip(areas.names, areas.regions, strict=True)) == [("A", "x"), ("B", "x"), ("A", "y")]
    assert areas.repaired == areas.dropped == 0


def test_a_file_without_names_numbers_its_areas(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    file = boxes(tmp_path / "a.geojson", [box(0, 0, 1, 1), box(1, 0, 2, 1)], size=[3.5, 4.5])
    assert read_polygons(file).names.tolist() == ["1", "2"]
    assert "has no names of areas (its columns are size); areas are numbered" in caplog.text
    assert read_polygons(file, name="size").names.tolist() == ["3.5", "4.5"]
    with pytest.raises(ArgumentError, match=r"`polygon_region`: .* has no column sise \(did you mean size\?\); choose"):
        read_polygons(file, region="sise")


def test_invalid_polygons_are_repaired_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    file = boxes(tmp_path / "a.geojson", [BOW, box(5, 0, 6, 1), [[7, 7], [8, 8]]], name=["bow", "box", "line"])
    areas = read_polygons(file)
    assert areas.names.tolist() == ["bow", "box"] and (areas.repaired, areas.dropped) == (1, 1)
    assert shapely.is_valid(areas.shapes).all() and areas.shapes[0].area == pytest.approx(2)
    assert "1 invalid polygon(s) repaired, 1 shape(s) without an area left out" in caplog.text


@pytest.mark.parametrize(
    "ring", [box(170, 10, 190, 20), [[170, 10], [-170, 10], [-170, 20], [170, 20]], box(-190, 10, -170, 20)]
)
def test_polygons_across_the_antimeridian_are_cut(tmp_path: Path, ring: list[list[float]]):
    areas = read_polygons(boxes(tmp_path / "a.geojson", [ring], name=["Fiji"]))
    (shape,) = areas.shapes
    assert shape.is_valid and shape.area == pytest.approx(200) and shape.bounds == (-180, 10, 180, 20)
    centre = centres_of(areas.shapes)
    assert abs(centre.longitude[0]) == pytest.approx(180) and centre.latitude[0] == pytest.approx(15, abs=0.3)


def test_a_ring_around_a_pole_and_a_box_around_the_earth(tmp_path: Path):
    """As Antarctica in some files, a ring ends at 180 and goes on at -180, and the pole is in none of its corners."""
    ring = [[x, -70.0] for x in range(-180, 181, 20)]
    along = [[-180, -89.999], *([x, -70.0] for x in range(-180, 180, 20)), [179.0, -70.0], [-180, -70.0]]
    file = boxes(tmp_path / "a.geojson", [ring, box(-180, 0, 180, 10), along], name=["a", "b", "c"])
    areas = read_polygons(file)
    assert shapely.is_valid(areas.shapes).all()
    assert shapely.area(areas.shapes) == pytest.approx([360 * 20, 360 * 10, 360 * 20], rel=1e-3)
    assert shapely.contains_xy(areas.shapes[0], 100, -89.9)


def test_holes_across_the_antimeridian(tmp_path: Path):
    polygon = shapely.Polygon(box(170, 0, 190, 10), [box(175, 2, 185, 4)])
    geopandas.GeoDataFrame({"name": ["a"]}, geometry=[polygon], crs="EPSG:4326").to_file(tmp_path / "a.geojson")
    (shape,) = read_polygons(tmp_path / "a.geojson").shapes
    assert shape.area == pytest.approx(180) and not shapely.contains_xy(shape, -178, 3)


def test_other_coordinate_systems_and_formats(tmp_path: Path):
    frame = geopandas.GeoDataFrame({"name": ["a"]}, geometry=[shapely.box(9, 55, 10, 56)], crs="EPSG:4326")
    frame.to_crs("EPSG:25832").to_file(tmp_path / "a.gpkg")
    frame.to_file(tmp_path / "a.shp")
    for name in ("a.gpkg", "a.shp"):
        assert read_polygons(tmp_path / name).shapes[0].bounds == pytest.approx((9, 55, 10, 56), abs=0.02)
    topology = {
        "type": "Topology",
        "objects": {"x": {"type": "GeometryCollection", "geometries": [
            {"type": "Polygon", "arcs": [[0]], "properties": {"name": "t"}}]}},
        "arcs": [[[1, 2], [3, 2], [3, 5], [1, 5], [1, 2]]],
    }  # fmt: skip
    (tmp_path / "a.topojson").write_text(json.dumps(topology))
    assert read_polygons(tmp_path / "a.topojson").shapes[0].bounds == (1, 2, 3, 5)


def test_files_that_are_no_polygons(tmp_path: Path):
    with pytest.raises(PlacewiseError, match="there is no such file"):
        read_polygons(tmp_path / "no.geojson")
    (tmp_path / "text.geojson").write_text("no")
    with pytest.raises(PlacewiseError, match="text.geojson: cannot be read as polygons"):
        read_polygons(tmp_path / "text.geojson")
    with pytest.raises(PlacewiseError, match="contains no polygon"):
        read_polygons(boxes(tmp_path / "line.geojson", [[[7, 7], [8, 8]]], name=["line"]))
    frame = geopandas.GeoDataFrame({"name": ["a"]}, geometry=[shapely.box(5e5, 6e6, 5.1e5, 6.1e6)])
    frame.to_file(tmp_path / "metres.shp")
    with pytest.raises(PlacewiseError, match="not degrees of longitude and latitude, and the file has no coordinate"):
        read_polygons(tmp_path / "metres.shp")


def test_areas_on_the_ellipsoid():
    """The WGS84 ellipsoid has 510,065,622 km2; 1 degree by 1 at the equator 12,308.5 km2."""
    shapes = np.array([shapely.box(-180, -90, 180, 90), shapely.box(-180, 0, 0, 90), shapely.box(0, 0, 1, 1)])
    assert areas_km2(shapes) == pytest.approx([510_065_622, 127_516_405, 12_308.46], rel=1e-6)


def test_nothing_is_logged_for_a_sound_file(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    read_polygons(boxes(tmp_path / "a.geojson", [box(0, 0, 1, 1)], name=["a"]))
    assert caplog.text == ""
