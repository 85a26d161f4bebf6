"""Uploads located in a reference database of aerial cells."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tasks.aerial_world import PixelDatabase, region, write_photos, write_tiles
from tests.tasks.test_locating_aerial import opened  # noqa: F401, fixture
from tests.web.serving import ask, send, serving

pytest.importorskip("fastapi", reason="needs requirements-app.txt")
pytest.importorskip("uvicorn", reason="needs requirements-app.txt")
pytestmark = pytest.mark.slow


def test_an_upload_gets_cells_and_a_picture_of_the_region(opened, tmp_path: Path):  # noqa: F811
    from web.answers import Finder
    from web.pictures import Pictures
    from web.uploads import PhotoLimits

    tiles = write_tiles(tmp_path / "tiles")
    database = PixelDatabase(region(60), [str(tiles)])
    latitude, longitude = (own[0] for own in database.cells.centres([7]))
    folder = write_photos(tmp_path / "p", tiles, *np.array([[0.0], [0.0], [90.0]]))
    (file,) = folder.iterdir()
    sink = io.BytesIO()
    Image.open(file).save(sink, "PNG")
    finder = Finder(opened(database, bearings=4), PhotoLimits(), 3, Pictures())
    finder.warm_up()
    with serving(finder) as port:
        info = ask(port, "GET", "/api/info").json
        west, south, east, north = info["background"]
        assert west < longitude < east and south < latitude < north and not info["attention"]
        below = ask(port, "GET", "/api/background")
        assert below.status == 200 and Image.open(io.BytesIO(below.body)).size == (1600, 1600)
        found = send(port, sink.getvalue(), "image/png").json
    first = found["answers"][0]
    assert first["name"].startswith("cell ") and first["picture"] is None and first["similarity"] > 0.2
    assert first["heading"] in (0, 90, 180, 270)
    assert len(found["cells"]) == len(database.cells) and found["cells"][0]["probability"] > 0.01
    (ring,) = found["cells"][0]["outline"][0]
    # Four corners of 30 m, not rounded to the 11 m of four decimals.
    assert len(ring) == 5 and max(x for x, _ in ring) - min(x for x, _ in ring) == pytest.approx(0.000419, abs=2e-6)
