"""Maps of localize.py, with cells of a database of aerial images."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from datasets.decoding import ImageFiles
from datasets.places import make_places
from datasets.reading import read_places
from reports.positions import Found
from tasks import position_maps
from tasks.locating import Positions
from tasks.position_maps import _coloured, save_map
from tests.reports.geolocation.test_map import read_data
from tests.tasks.aerial_world import AT, PixelDatabase, region, write_photos, write_tiles
from tests.tasks.test_locating_aerial import opened  # noqa: F401, fixture


def test_a_map_shows_the_region_the_cells_and_the_truth(opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    tiles = write_tiles(tmp_path / "tiles")
    database = PixelDatabase(region(60), [str(tiles)])
    places = read_places(write_photos(tmp_path / "p", tiles, np.array([0.0, 31]), np.array([10.0, -20]), np.zeros(2)))
    locator = opened(database)
    answers = locator.locate(ImageFiles(places, (48, 48)), 2)
    found = [
        Found(str(places.path(row)), 1, *(own[row, 0] for own in (answers.latitude, answers.longitude)), 0.5, 0.9,
              "cell", "place", 0.0, 0.01)
        for row in range(2)
    ]  # fmt: skip
    save_map(tmp_path / "map.html", places, answers, locator, found)
    data = read_data(tmp_path / "map.html")
    count = len(database.cells)
    assert data["cells"]["number"] == list(range(count)) and data["cells"]["count"] == count
    assert data["cells"]["images"] is None and data["cells"]["name"][3] == "cell 3"
    own = database.cells.assign(*places.degrees).tolist()
    assert data["photos"]["cell"] == own == [top[0] for top in data["photos"]["top"]]
    assert data["photos"]["latitude"] == pytest.approx(places.latitude, abs=1e-5)
    west, south, east, north = data["background"]["bounds"]
    assert west < AT[1] < east and south < AT[0] < north
    assert data["background"]["url"].startswith("data:image/jpeg;base64,")
    # Of a large region, only the cells that photos name are drawn.
    monkeypatch.setattr(position_maps, "MOST_CELLS", count - 1)
    monkeypatch.setattr(position_maps, "MOST_COLOURED", 2)
    save_map(tmp_path / "map.html", places, answers, locator, found)
    data = read_data(tmp_path / "map.html")
    assert data["cells"]["count"] == count and 5 <= len(data["cells"]["number"]) <= 12
    assert [data["cells"]["name"][cell] for cell in data["photos"]["cell"]] == [f"cell {cell}" for cell in own]
    assert [len(top) for top in data["photos"]["top"]] == [5, 5]


def test_cells_are_coloured_from_the_most_probable_on():
    shares = np.array([[0.2, 0.7, 0.04, 0.03, 0.02, 0.00001], [0.5, 0.3, 0.1, 0.05, 0.04, 0.01]])
    none = np.zeros((2, 1))
    answers = Positions(np.arange(2), none, none, none, none, none, np.tile(np.arange(6), (2, 1)), shares)
    cells, probabilities = _coloured(answers)
    assert [own.tolist() for own in cells] == [[1, 0, 2, 3, 4], [0, 1, 2, 3, 4, 5]]
    assert probabilities[0].tolist() == [0.7, 0.2, 0.04, 0.03, 0.02]


def test_photos_without_cells(tmp_path: Path):
    """Networks of place recognition answer no cells."""

    class NoCells:
        outlines = staticmethod(lambda cells: [])
        cells_at = staticmethod(lambda latitude, longitude: np.full(len(latitude), -1))
        drawn_cells = staticmethod(lambda cells, most: np.unique(cells[cells >= 0]))
        background = staticmethod(lambda: None)
        total_cells = None

    places = make_places(Path(), pa.array(["a.jpg"], pa.string()))
    one, none = np.ones((1, 1)), np.zeros((1, 0))
    answers = Positions(np.arange(1), one, one, one, one, one, none.astype(np.int64), none)
    found = [Found("a.jpg", 1, 1.0, 1.0, 0.5, 0.5, "x", "y", 0.0, 0.0)]
    save_map(tmp_path / "m.html", places, answers, NoCells(), found)
    data = read_data(tmp_path / "m.html")
    assert data["photos"]["top"] == [[]] and data["background"] is None and data["cells"]["number"] == []
