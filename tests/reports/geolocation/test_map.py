import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from reports.geolocation import map as map_module
from reports.geolocation.cells import ReportCells
from reports.geolocation.map import Background, chosen_rows, worst_and_best, write_map
from reports.geolocation.outlines import Bounds


def read_data(path: Path) -> dict:
    island = re.findall(r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8"), re.S)
    assert len(island) == 1
    return json.loads(island[0])


def test_the_page_holds_photos_from_the_largest_error_on(
    tmp_path: Path, predictions: pa.Table, cells: ReportCells, images: Path
):
    write_map(tmp_path / "map.html", predictions, cells, "Title", images)
    data = read_data(tmp_path / "map.html")
    photos = data["photos"]
    assert photos["row"] == [3, 2, 1, 0, 4, 5] and data["total"] == 6
    assert photos["path"][:2] == ["d.jpg", "c</script>.jpg"]
    assert photos["error"] == [170.2, 52.7, 39.5, 0.0, None, None]
    assert photos["latitude"] == [50.4, 50.9, 50.2, 50.5, 50.5, None] and photos["predicted_longitude"][4] is None
    assert (
        photos["cell"] == [0, 2, 1, 0, 1, -1] and photos["top"][0] == [2, 0] and photos["probability"][0] == [0.6, 0.1]
    )
    assert photos["region"] == ["W", "E", "E", "W", "E", None] and "city" not in photos
    assert data["cells"]["name"] == ["west", "<b>mid", "east"] and data["land"] == []
    west, south, east, north = data["bounds"]
    assert west < 10.1 < 12.9 < east < 13.2 and south < 50.2 < 50.9 < north < 51.1
    assert sorted(data["thumbnails"]) == ["0", "2", "3"]  # c is missing and broken.jpg cannot be read
    assert all(address.startswith("data:image/jpeg;base64,") for address in data["thumbnails"].values())


def test_thumbnails_end_with_the_budget(tmp_path, predictions, cells, images, monkeypatch: pytest.MonkeyPatch):
    write_map(tmp_path / "map.html", predictions, cells, images=images)
    first = len(read_data(tmp_path / "map.html")["thumbnails"]["0"])
    monkeypatch.setattr(map_module, "THUMBNAIL_BUDGET", first)
    write_map(tmp_path / "map.html", predictions, cells, images=images)
    assert list(read_data(tmp_path / "map.html")["thumbnails"]) == ["0"]


def test_rows_of_many_photos_are_drawn_evenly(predictions: pa.Table):
    assert chosen_rows(predictions, most=3).tolist() == [3, 1, 5]  # of 3 2 1 0 4 5
    assert worst_and_best(5).tolist() == [0, 4, 1, 3, 2]
    assert worst_and_best(0).tolist() == []


def test_of_many_cells_only_those_of_photos_are_kept(tmp_path, predictions, cells, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(map_module, "MOST_CELLS", 2)
    write_map(tmp_path / "map.html", predictions.slice(0, 2), cells)
    data = read_data(tmp_path / "map.html")["cells"]
    assert data["number"] == [0, 1] and data["name"] == ["west", "<b>mid"] and data["count"] == 3
    assert len(data["outline"]) == 2


def test_a_map_of_the_world_shows_coasts(tmp_path: Path, predictions: pa.Table, cells: ReportCells):
    far = predictions.set_column(2, "longitude", pa.array([-100.0, 11.2, 12.9, 10.1, 150.0, None]))
    write_map(tmp_path / "map.html", far, cells)
    assert len(read_data(tmp_path / "map.html")["land"]) == 125


def test_tables_without_an_answer_and_without_rows(tmp_path: Path, predictions: pa.Table, cells: ReportCells):
    write_map(tmp_path / "map.html", predictions.slice(4), cells)
    assert read_data(tmp_path / "map.html")["photos"]["error"] == [None, None]
    write_map(tmp_path / "map.html", predictions.slice(0, 0), cells)
    assert read_data(tmp_path / "map.html")["photos"]["path"] == []


STEPS = """
const list = () => [...document.querySelectorAll("#list button")].map(button => button.textContent);
const text = selector => document.querySelector(selector).textContent;
const found = { list: list(), shown: text("#shown"), linked: text("#photo .bar b") };
const set = (selector, value, event) => {
  const node = document.querySelector(selector);
  node.value = value;
  node.dispatchEvent(new Event(event));
};
set("#most", 60, "input");
found.filtered = list();
set("#most", 100, "input");
set("#least", 60, "input");
found.far = list();
set("#least", 0, "input");
set("input[type=search]", "mid", "input");
found.searched = list();
set("input[type=search]", "", "input");
document.querySelectorAll("#list button")[1].click();
found.probabilities = [...document.querySelectorAll("#photo tr")].map(row => row.textContent);
found.hash = location.hash;
dispatchEvent(new KeyboardEvent("keydown", { key: "n" }));
found.next = text("#photo .path");
dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
found.closed = document.querySelector("#photo").hidden;
const before = text("#scale");
dispatchEvent(new KeyboardEvent("keydown", { key: "+" }));
for (let i = 0; i < 6; i++) document.querySelector("#in").click();
draw();
found.larger = before !== text("#scale");
const canvas = document.querySelector("canvas"), context = canvas.getContext("2d");
document.querySelector("#all").click();
draw();
const colours = new Set();
const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
for (let i = 0; i < pixels.length; i += 4) colours.add((pixels[i] << 16) + (pixels[i + 1] << 8) + pixels[i + 2]);
found.colours = ["#e3ebf1", "#fbfaf6", "#0b67c2", "#d9541e"].map(own => colours.has(parseInt(own.slice(1), 16)));
const [x, y] = toScreen(photos[3].marks[0]);
found.at = [photoAt(x + 2, y)?.path, cells.name[cellAt(x, y)], photoAt(2, 2)];
canvas.setPointerCapture = () => {};  // events of a script have no pointer
const point = (kind, dx = 0) => canvas.dispatchEvent(
  new PointerEvent(kind, { pointerId: 1, pointerType: "mouse", clientX: x + dx, clientY: y }));
point("pointermove");
found.tip = text("#tip");
point("pointerdown");
point("pointerup");
found.clicked = text("#photo .path");
choose(null);
point("pointerdown");
point("pointermove", 50);
point("pointerup", 50);
found.dragged = [toScreen(photos[3].marks[0])[0] - x, document.querySelector("#photo").hidden];
const scale = view.scale;
canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -300, clientX: x + 50, clientY: y, cancelable: true }));
found.wheel = [view.scale / scale, toScreen(photos[3].marks[0])[0] - x];
view.x += world;
const again = toScreen(photos[3].marks[0], 1);
found.around = [photoAt(...again)?.path, cells.name[cellAt(...again)]];
return found;
"""


BELOW = """
draw();
const canvas = document.querySelector("canvas"), context = canvas.getContext("2d");
const at = (lon, lat) => {
  const [x, y] = toScreen([toX(lon), toY(lat)]);
  return [...context.getImageData(Math.round(x * devicePixelRatio), Math.round(y * devicePixelRatio), 1, 1).data];
};
const found = { red: at(11.05, 50.55), green: at(11.35, 50.25), outside: at(12.1, 50.9) };
const [x, y] = toScreen([toX(10.2), toY(50.8)]);
canvas.dispatchEvent(new PointerEvent("pointermove", { pointerId: 1, pointerType: "mouse", clientX: x, clientY: y }));
found.tip = document.querySelector("#tip").textContent;
choose(photos[0]);
found.rows = document.querySelectorAll("#photo tr").length;
found.share = document.querySelector("#photo").textContent.includes("30 of 12,345 cells have");
return found;
"""


@pytest.mark.slow
def test_a_picture_below_the_cells(tmp_path, predictions, cells, open_page):
    """Red in the west and green in the east, half a degree high."""
    picture = Image.new("RGB", (100, 100), "#c00000")
    picture.paste("#00c000", (50, 0, 100, 100))
    plain = replace(cells, images=None)
    many = predictions.slice(0, 1).set_column(
        predictions.column_names.index("top_cells"), "top_cells", [[[0, 1, 2] * 10]]
    )
    many = many.set_column(many.column_names.index("top_probabilities"), "top_probabilities", [[[0.01] * 30]])
    background = Background(picture, Bounds(11.0, 50.2, 11.4, 50.6))
    write_map(tmp_path / "map.html", many, plain, "Title", background=background, total_cells=12_345)
    opened = open_page(tmp_path / "map.html", BELOW)
    assert opened["failures"] == opened["requests"] == []
    found = opened["result"]
    assert found["red"] == pytest.approx([192, 0, 0, 255], abs=12)
    assert found["green"] == pytest.approx([0, 192, 0, 255], abs=12)
    assert found["outside"] == [251, 250, 246, 255]
    assert found["tip"] == "west" and found["rows"] == 20 and found["share"]


@pytest.mark.slow
def test_the_page_works_in_a_browser_and_asks_no_host(tmp_path, predictions, cells, images, open_page):
    write_map(tmp_path / "map.html", predictions, cells, "Title", images)
    found = open_page(tmp_path / "map.html", STEPS, "#photo=1")
    assert found["failures"] == [] and all(address.startswith("data:") for address in found["requests"])
    result = found["result"]
    assert result["list"] == [
        "d.jpg170 km", "script>.jpg53 km", "b.jpg40 km", "a.jpg0 km", "broken.jpgno answer", "f.jpgunknown",
    ]  # fmt: skip
    assert result["shown"] == "6 of 6 photos, median error 46 km" and result["linked"] == "40 km off"
    assert result["filtered"] == ["script>.jpg53 km", "b.jpg40 km", "a.jpg0 km"]  # 39.5 (170.2 / 39.5)^0.6 = 95 km
    assert result["searched"] == ["b.jpg40 km", "broken.jpgno answer"]
    assert result["probabilities"] == ["east40.0 %", "<b>mid20.0 %"] and result["hash"] == "#photo=2"
    assert result["next"] == "sub/b.jpg" and result["closed"] and result["larger"]
    assert result["colours"] == [True] * 4 and result["at"] == ["a.jpg", "west", None]
    assert result["far"] == ["d.jpg170 km"] and result["around"] == ["a.jpg", "west"]
    assert result["tip"] == "a.jpg: 0 km" and result["clicked"] == "a.jpg"
    # Browsers round the pointer's place to pixels.
    assert result["dragged"] == [pytest.approx(50, abs=0.6), True] and result["wheel"] == pytest.approx(
        [2, 50], abs=0.6
    )


ACROSS = """
const [line] = photos.filter(photo => photo.line);
return { ends: line.marks.map(([x]) => x), world, unit, turns: turns().length };
"""


@pytest.mark.slow
def test_lines_take_the_short_way_across_the_antimeridian(tmp_path, predictions, cells, open_page):
    one = predictions.slice(0, 1).set_column(2, "longitude", pa.array([179.0]))
    one = one.set_column(4, "predicted_longitude", pa.array([-179.0]))
    write_map(tmp_path / "map.html", one, cells)
    result = open_page(tmp_path / "map.html", ACROSS)["result"]
    assert np.diff(result["ends"]) == pytest.approx(2 * result["unit"])
    assert result["world"] == pytest.approx(360 * result["unit"])
