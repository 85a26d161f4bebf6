"""The recipes of geolocation in configs/, as a user runs them, on small data and small networks."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from commons.checkpoints import load_checkpoint
from tasks.cell_partitions import from_text
from tests.cells.worlds import box, boxes
from tests.conftest import write_picture
from tests.helpers import ROOT, call

pytestmark = pytest.mark.slow

DENMARK = ROOT.parent / "shared" / "data" / "denmark" / "kommuner.geojson"
OSV5M = (
    "id", "latitude", "longitude", "thumb_original_url", "country", "sequence", "captured_at", "lon_bin", "lat_bin",
    "cell", "region", "sub-region", "city", "land_cover", "road_index", "drive_side", "climate", "soil", "dist_sea",
    "quadtree_10_5000", "quadtree_10_25000", "quadtree_10_1000", "quadtree_10_50000", "creator_username", "creator_id",
)  # fmt: skip
SIZE = [
    "--pretrained", "none", "--image_size", 64, "--batch_size", 8, "--num_workers", 0, "--device", "cpu", "--precision",
    "fp32", "--epochs_num", 1, "--iterations_per_epoch", 4,
]  # fmt: skip
SMALL_VIT = ["--backbone", "timm:vit_tiny_patch16_224"]


def write_table(path: Path, header: tuple[str, ...], rows: list[dict[str, object]]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, header, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def run_recipe(name: str, folder: Path, *flags: object) -> tuple[dict, dict, str]:
    """Runs a recipe; returns its last checkpoint, its results and what it printed."""
    config = ["--config", ROOT / "configs" / f"{name}.yaml", "--output_folder", folder]
    code, output = call("train.py", *config, *SIZE, *flags)
    assert code == 0, output
    return load_checkpoint(folder / "last_checkpoint.pth"), json.loads((folder / "results.json").read_text()), output


def test_osv5m_hybrid(tmp_path: Path):
    draw, data = np.random.default_rng(0), tmp_path / "osv5m"
    for split, count in (("train", 80), ("test", 16)):
        rows = []
        for number in range(count):
            name, country = f"{3859149887465501 + 10_000 * len(split) + number}", number % 4
            write_picture(data / "images" / split / f"{number % 3:02}" / f"{name}.jpg", country, draw)
            latitude, longitude = 40 + 5 * country + draw.normal(), -100 + 50 * country + draw.normal()
            rows.append(
                {"id": name, "latitude": latitude, "longitude": longitude, "country": "ADNA"[country % 2 :: 2]}
                | {"region": f"R{country}", "sub-region": "", "city": f"C{number % 8}"}
                | {"sequence": f"{split}{number // 2}", "creator_username": "ann", "dist_sea": 0.5}
            )
        write_table(data / f"{split}.csv", OSV5M, rows)
    cells = ["--cell_options", "max_images=10,max_depth=10", "--coarser", "20,40"]
    own = ["--dataset_folder", data, "--split_by", "sequence", *SMALL_VIT, "--accumulate", 2, *cells]
    checkpoint, results, output = run_recipe("osv5m_hybrid", tmp_path / "run", *own)
    partition = from_text(checkpoint["partition"])
    assert len(partition.levels) == 3 and {level.kind for level in partition.levels} == {"quadtree"}
    assert "Validation set: 8 of 80 photos, split by sequence" in output
    found = results["osv5m/test"]
    assert found["photos"] == 16 and found["answer"] == "offset" and {"country %", "region %", "city %"} <= found.keys()
    assert checkpoint["main_metric"] == {"name": "GeoScore", "higher_is_better": True}


def test_im2gps_s2(tmp_path: Path):
    draw, tables = np.random.default_rng(0), {}
    for name, count in (("mp16", 120), ("im2gps3k", 16)):
        rows = []
        for number in range(count):
            town = number % 6
            file = f"{number:02x}/{number:02x}/{1000 + number}_ab_1_{number // 2}@N00.jpg" if name == "mp16" else ""
            file = file or f"{1000 + number}_7410c654ba_19_19355699@N00.jpg"
            write_picture(tmp_path / name / file, town, draw)
            latitude, longitude = -60 + 20 * town + draw.normal(), -150 + 50 * town + draw.normal()
            rows.append({"IMG_ID": file, "LAT": latitude, "LON": longitude, "AUTHOR": f"{number // 2}@N00"})
        tables[name] = write_table(tmp_path / name / f"{name}.csv", ("IMG_ID", "AUTHOR", "LAT", "LON"), rows)
    cells = ["--cell_options", "max_images=15,min_images=2", "--coarser", "30,60"]
    own = ["--train_set_folder", tables["mp16"], "--test_set_folder", tables["im2gps3k"], "--split_by", "user", *cells]
    checkpoint, results, output = run_recipe("im2gps_s2", tmp_path / "run", *own)
    partition = from_text(checkpoint["partition"])
    assert len(partition.levels) == 3 and partition.finest.kind == "s2"
    assert (partition.finest.images <= 15).all() and "Validation set: 12 of 120 photos, split by user" in output
    (found,) = (own for name, own in results.items() if "validation" not in name)
    assert found["photos"] == 16 and found["answer"] == "product"
    widths = [len(level) for level in partition.levels]
    assert checkpoint["network"]["head.1.weight"].shape[0] == sum(widths)  # a head for each resolution


def write_photos(folder: Path, latitude: np.ndarray, longitude: np.ndarray) -> Path:
    """Writes a table of photos; all show one of eight pictures, which is enough to see that training runs."""
    draw, rows = np.random.default_rng(0), []
    for row, place in enumerate(zip(latitude, longitude, strict=True)):
        path = folder / f"{row}.jpg"
        path.hardlink_to(folder / f"{row % 8}.jpg") if row >= 8 else write_picture(path, row, draw)
        rows.append({"path": path.name, "latitude": place[0], "longitude": place[1], "user": f"user {row % 50}"})
    return write_table(folder / "photos.csv", ("path", "latitude", "longitude", "user"), rows)


def denmark(table: Path, polygons: Path, folder: Path, *flags: object) -> tuple[dict, str]:
    own = ["--train_set_folder", table, "--polygons", polygons, "--split_by", "user", "--warmup_iterations", 2]
    own += ["--val_share", 0.02]
    checkpoint, _, output = run_recipe("denmark_vit", folder, *own, *SMALL_VIT, *flags)
    return checkpoint, output


def test_denmark_vit(tmp_path: Path):
    """Four municipalities in six cells: the two large ones are split."""
    edges = [box(8, 55, 9, 56), box(9, 55, 10, 56), box(10, 55, 14, 57), box(8, 56, 10, 57)]
    polygons = boxes(tmp_path / "areas.geojson", edges, KOMNAVN=["Ry", "Ærø", "Læsø", "Køge"])
    draw = np.random.default_rng(1)
    table = write_photos(tmp_path, draw.uniform(55, 57, 200), draw.uniform(8, 14, 200))
    checkpoint, _ = denmark(table, polygons, tmp_path / "run", "--cell_options", "cells=6")
    cells = from_text(checkpoint["partition"]).finest
    assert len(cells) == 6 and set(cells.areas) == {"Ry", "Ærø", "Læsø", "Køge"}
    assert checkpoint["main_metric"]["name"] == "cell top-1" and "cls" in checkpoint["config"]["aggregation"]


@pytest.mark.skipif(not DENMARK.exists(), reason="needs the municipalities of Denmark")
def test_denmark_vit_with_the_municipalities(tmp_path: Path):
    draw = np.random.default_rng(1)
    sines = draw.uniform(*np.sin(np.radians([54.5, 57.8])), 2000)
    table = write_photos(tmp_path, np.degrees(np.arcsin(sines)), draw.uniform(8, 15.2, 2000))
    checkpoint, output = denmark(table, DENMARK, tmp_path / "run")
    cells = from_text(checkpoint["partition"]).finest
    assert len(cells) == 129 and cells.images.min() > 0
    assert "129 (admin (cells=129" in output
