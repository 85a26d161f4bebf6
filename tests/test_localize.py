"""localize.py as a user runs it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commons.sphere import haversine_km
from tests.datasets.test_geocoder import Server, server  # noqa: F401, a fixture
from tests.helpers import assert_mistakes, call
from tests.tasks.test_locating import cells, places  # noqa: F401, fixtures

pytestmark = pytest.mark.slow


def with_gps(path: Path, latitude: float, longitude: float) -> Path:
    """Writes a photo whose EXIF data hold a position in whole degrees."""
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (latitude, 0.0, 0.0), 3: "E", 4: (longitude, 0.0, 0.0)}
    Image.effect_noise((80, 64), 60).convert("RGB").save(path, exif=exif)
    return path


def rows_of(file: Path) -> list[dict[str, str]]:
    with open(file, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_photos_folders_and_lists_are_located_over_cells(cells: Path, tmp_path: Path):  # noqa: F811
    folder = tmp_path / "photos"
    folder.mkdir()
    first, second = with_gps(folder / "a.jpg", 52, 7), with_gps(tmp_path / "b.jpg", 10, 20)
    (folder / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "list.txt").write_text("b.jpg\n\n")
    files = [tmp_path / f"found{kind}" for kind in (".csv", ".geojson", ".kml", ".html")]
    network = ["--resume_model", cells, "--device", "cpu", "--precision", "fp32", "--num_workers", 0]
    given = [folder, tmp_path / "list.txt", *network, "--top_k", 3]
    code, output = call("localize", *given, "--output", *files, "--compare_exif")
    assert code == 0, output
    assert "1 of 3 photos cannot be decoded" in output and "Germany" in output
    rows = rows_of(files[0])
    assert [row["photo"] for row in rows] == [str(first)] * 3 + [str(second)] * 3
    for row, truth in ((rows[0], (52, 7)), (rows[3], (10, 20))):
        error = haversine_km(float(row["latitude"]), float(row["longitude"]), *map(float, truth))
        assert float(row["error_km"]) == pytest.approx(error, rel=1e-6)
    assert len(json.loads(files[1].read_text())["features"]) == 6
    page = files[3].read_text()
    assert "a.jpg" in page and "data:image/jpeg" in page


def test_positions_in_exif_change_no_answer(cells: Path, tmp_path: Path):  # noqa: F811
    photo = with_gps(tmp_path / "with.png", 52, 7)
    pixels = np.asarray(Image.open(photo))
    Image.fromarray(pixels).save(tmp_path / "without.png")
    network = ["--resume_model", cells, "--device", "cpu", "--precision", "fp32"]
    code, output = call("localize", tmp_path, *network, "--output", tmp_path / "found.csv")
    assert code == 0, output
    rows = rows_of(tmp_path / "found.csv")
    apart = [{name: own for name, own in row.items() if name != "photo"} for row in rows]
    assert apart[:5] == apart[5:] or apart[: len(apart) // 2] == apart[len(apart) // 2 :]
    assert all(row["error_km"] == "" for row in rows)  # it was not asked for


def test_place_recognition_answers_images_of_the_database(places: Path, city: Path, tmp_path: Path):  # noqa: F811
    network = ["--resume_model", places, "--device", "cpu", "--precision", "fp32", "--num_workers", 0]
    database = ["--database", city / "test" / "database"]
    queries = city / "test" / "queries"
    code, output = call("localize", queries, *network, *database, "--top_k", 2, "--output", tmp_path / "found.csv")
    assert code == 0, output
    rows = rows_of(tmp_path / "found.csv")
    assert len(rows) == 12 and all("database" in row["source"] and row["probability"] == "" for row in rows)
    assert float(rows[0]["similarity"]) >= float(rows[1]["similarity"])


def test_only_the_flag_asks_a_server_for_addresses(cells: Path, tmp_path: Path, server: Server):  # noqa: F811
    photo = with_gps(tmp_path / "a.jpg", 1, 2)
    network = ["--resume_model", cells, "--device", "cpu", "--precision", "fp32", "--top_k", 2]
    code, output = call("localize", photo, *network)
    assert code == 0 and not server.asked and "Road" not in output, output
    network += ["--output", tmp_path / "found.csv", "--geocoder"]
    code, output = call("localize", photo, *network, server.url, preload="tests.own_addresses")
    assert code == 0 and "Addresses: OpenStreetMap contributors" in output, output
    assert [row["place"].startswith("Road") for row in rows_of(tmp_path / "found.csv")] == [True, False]
    assert len(server.asked) == 1 and (tmp_path / "cache" / "geocoder.sqlite").is_file()
    code, output = call("localize", photo, *network, "http://127.0.0.1:9", preload="tests.own_addresses")
    assert code == 0 and "No addresses: http://127.0.0.1:9 cannot be asked" in output and "Germany" in output, output


def test_mistakes_end_in_one_line(cells: Path, places: Path, tmp_path: Path):  # noqa: F811
    (tmp_path / "notes.doc").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty").mkdir()
    photo = with_gps(tmp_path / "a.jpg", 1, 2)
    assert_mistakes(
        "localize",
        [
            ([photo], 2, "--resume_model is missing"),
            (["nowhere.jpg", "--resume_model", cells], 2, "nowhere.jpg: there is no such file or folder"),
            ([photo, "--resume_model", cells, "--output", "x.txt"], 2, "--output x.txt: must end in .csv"),
            ([photo, "--resume_model", places], 2, "--database: is missing"),
            ([photo, "--resume_model", cells, "--database", tmp_path], 2, "--database: is for networks of place"),
            ([tmp_path / "notes.doc", "--resume_model", cells], 1, "is neither a photo nor a list of photos"),
            ([tmp_path / "empty", "--resume_model", cells], 1, "there are no photos"),
            ([photo, "--resume_model", cells, "--geocoder", photo], 2, "a.jpg is no URL"),
        ],
    )
