"""localize.py as a user runs it."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from commons.sphere import haversine_km
from model.two_towers import build_two_towers
from tasks.aerial_cells import extract_cells, open_aerial
from tests.datasets.test_geocoder import Server, server  # noqa: F401, a fixture
from tests.helpers import assert_mistakes, call
from tests.tasks.aerial_world import region, write_database, write_photos, write_tiles
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
    assert code == 0 and "No addresses: http://127.0.0.1:9 gave no valid" in output and "Germany" in output, output


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
            ([photo, "--resume_model", cells, "--geocoder", photo], 2, "a.jpg is not a URL"),
        ],
    )


def test_mistakes_about_reference_databases(cells: Path, tmp_path: Path):  # noqa: F811
    photo, database = with_gps(tmp_path / "a.jpg", 1, 2), tmp_path / "refdb"
    database.mkdir()
    reference = ["--reference", database]
    assert_mistakes(
        "localize",
        [
            ([], 2, "photos are missing: name photos or folders, or --query with --reference"),
            (["--query", tmp_path], 2, "--query needs --reference"),
            ([photo, "--resume_model", cells, "--sequence"], 2, "--sequence needs --reference"),
            ([photo, "--resume_model", cells, "--bearings", 8], 2, "--bearings needs --reference"),
            ([photo, "--resume_model", cells, "--stride", 2], 2, "--stride needs --query"),
            ([photo, *reference, "--query", tmp_path], 2, "give either photos or --query"),
            ([photo, *reference, "--resume_model", cells], 2, "--reference contains its network; leave out"),
            ([photo, *reference, "--image_size", 64], 2, "--image_size cannot be used with --reference"),
            ([photo, "--reference", tmp_path / "no"], 2, "there is no such folder; see create_reference_database.py"),
            ([photo, *reference, "--bearings", 1], 2, "--bearings 1: give 2 or more directions"),
            ([photo, *reference, "--tiles", tmp_path], 2, "--tiles needs --bearings or --refine"),
            ([photo, *reference, "--refine", 5, "--tiles", tmp_path / "no"], 2, "--tiles"),
            (["--query", tmp_path / "no", *reference], 2, "no: there is no such folder"),
            (["--query", tmp_path, *reference, "--compare_exif"], 2, "--compare_exif and --query are in conflict"),
            (["--query", tmp_path, *reference, "--geocoder"], 2, "--geocoder and --query are in conflict"),
        ],
    )


@pytest.fixture(scope="module")
def refdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with refdb/, a database of about 25 cells and a small network, not trained, and with six photos."""
    folder = tmp_path_factory.mktemp("aerial")
    tiles, own = write_tiles(folder / "tiles"), region(60)
    torch.manual_seed(0)
    built = {"backbone": "ResNet18", "cut_after": "layer1", "fc_output_dim": 64, "levels": 2}
    network = build_two_towers(**built).eval()
    config = built | {"image_size": [48, 64], "metres_per_pixel": 1.0, "aerial_size": 48}
    parts = list(extract_cells(network, open_aerial([str(tiles)]), *own.centres(), config))
    descriptors, filled = (np.concatenate([part[column] for part in parts]) for column in (1, 2))
    write_database(folder / "refdb", own, descriptors, filled, network, config, [str(tiles)])
    write_photos(folder / "photos", tiles, np.linspace(-40, 40, 6), np.zeros(6), np.full(6, 90.0))
    return folder


def test_photos_are_located_in_a_reference_database(refdb: Path, tmp_path: Path):
    device = ["--reference", refdb / "refdb", "--device", "cpu", "--precision", "fp32", "--num_workers", 0]
    files = [tmp_path / "found.csv", tmp_path / "found.html"]
    photo = sorted((refdb / "photos").iterdir())[0]
    code, output = call("localize", photo, *device, "--top_k", 3, "--bearings", 4, "--refine", 10, "--output", *files)
    assert code == 0, output
    assert "it is not calibrated" in output and "headings" in output and "Recall" not in output
    rows = rows_of(files[0])
    assert [row["rank"] for row in rows] == ["1", "2", "3"] and rows[0]["source"].startswith("cell ")
    assert rows[0]["heading"] in ("0.0", "90.0", "180.0", "270.0") and rows[0]["error_km"] == ""
    assert 49.999 < float(rows[0]["latitude"]) < 50.001 and 0 < float(rows[0]["probability"]) < 1
    assert "data:image/jpeg" in files[1].read_text()


def test_photos_with_positions_are_measured(refdb: Path, tmp_path: Path):
    device = ["--reference", refdb / "refdb", "--device", "cpu", "--precision", "fp32", "--num_workers", 0]
    query = ["--query", refdb / "photos"]
    code, output = call("localize", *query, *device, "--stride", 2, "--sequence", "--output", tmp_path / "found.csv")
    assert code == 0, output
    lines = re.findall(r"^Recall@\d+<\d+m: [01]\.\d{4}$", output, re.MULTILINE)
    assert len(lines) == 20 and lines[0].startswith("Recall@1<0m: ") and lines[-1] == "Recall@100<100m: 1.0000"
    assert output.startswith("3 photos, ") and "cells of 30 m\n" in output
    found = rows_of(tmp_path / "found.csv")
    assert len(found) == 15 and all(0 < float(row["error_km"]) < 0.2 for row in found)
    (tmp_path / "plain").mkdir()
    for number, file in enumerate(sorted((refdb / "photos").iterdir())[:2]):
        Image.open(file).save(tmp_path / "plain" / f"{number}.png")
    code, output = call("localize", "--query", tmp_path / "plain", *device)
    assert code == 0 and "none of the 2 photos has a position to compare with" in output
    assert "Recall" not in output


def test_a_reference_database_that_is_none(refdb: Path, tmp_path: Path):
    photo = sorted((refdb / "photos").iterdir())[0]
    moved = shutil.copytree(refdb / "refdb", tmp_path / "refdb")
    about = yaml.safe_load((moved / "config.yaml").read_text())
    (moved / "config.yaml").write_text(yaml.safe_dump(about | {"tiles": [str(tmp_path / "gone")]}))
    assert_mistakes(
        "localize",
        [
            ([photo, "--reference", refdb / "photos"], 1, "is not a reference database"),
            ([photo, "--reference", moved, "--refine", 10], 2, "name where they lie now with --tiles"),
        ],
    )
