"""create_reference_database.py as a user runs it, on a tiny map."""

import json
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import shapely
import torch
import yaml
from shapely.geometry import box

from commons.checkpoints import save_checkpoint
from commons.sphere import from_local_km
from datasets.tiles.sources import FolderTiles, tiles_area
from model.two_towers import TwoTowers, build_two_towers
from tasks.aerial_cells import extract_cells, open_aerial
from tasks.reference_database import ReferenceDatabase
from tasks.reference_work import BAND, Work
from tests.datasets.tiles.maps import LATITUDE, LONGITUDE, ZOOM, tile_of, write_map
from tests.helpers import assert_mistakes, call, in_processes
from tests.tasks.test_reference_database import BUILT, CONFIG

pytestmark = pytest.mark.slow
PROGRAM = "create_reference_database.py"


def square(east: float = 0.0, north: float = 0.0, side: float = 400.0) -> shapely.Geometry:
    """A square around a point, metres from the middle of the map."""
    east, north = (np.array([at - side / 2, at + side / 2]) / 1000 for at in (east, north))
    (south, top), (west, right) = from_local_km(east, north, LATITUDE, LONGITUDE)
    return box(west, south, right, top)


def write_geojson(path: Path, shape: shapely.Geometry) -> Path:
    path.write_text(shapely.to_geojson(shape))
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiles of 1.1 km, a region of 0.4 km in them, and a run with a network; read only."""
    folder = tmp_path_factory.mktemp("world")
    write_map(folder / "tiles")
    write_geojson(folder / "region.geojson", square())
    torch.manual_seed(0)
    network = build_two_towers(**{name: CONFIG[name] for name in BUILT})
    see(network, folder / "tiles")
    state = {"network": network.state_dict(), "config": CONFIG, "task": "cross_view", "targets": {}}
    save_checkpoint(state, folder / "run" / "best_model.pth")
    return folder


def see(network: TwoTowers, tiles: Path) -> None:
    """Sets the batch statistics of random weights, without which all images have one descriptor."""
    latitude, longitude = LATITUDE + np.linspace(-0.002, 0.002, 32), LONGITUDE + np.linspace(-0.002, 0.002, 32)[::-1]
    images, _ = open_aerial([str(tiles)]).pyramids(latitude, longitude, 1.0, 64, 2)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    network.train()
    with torch.no_grad():
        network(images)
    network.eval()


def flags(world: Path, output: Path, **others: object) -> list[object]:
    given = {"train": world / "run", "tiles": world / "tiles", "geojson": world / "region.geojson", "device": "cpu"}
    given |= {"output": output} | others
    return [part for name, value in given.items() if value is not None for part in (f"--{name}", value)]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def undisturbed(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "db"
    code, output = call(PROGRAM, *flags(world, folder, index="hnsw"))
    assert code == 0, output
    return folder


def test_descriptors_are_those_of_the_cells(world: Path, undisturbed: Path):
    database = ReferenceDatabase.open(undisturbed)
    assert len(database.cells) > 150 and len(np.unique(database.cells.rows)) < BAND
    wanted = extract_cells(*_opened(database), *database.cells.centres(), CONFIG, batch_size=5)
    wanted = np.concatenate([part[1] for part in wanted])
    assert np.allclose(database.descriptors, wanted, atol=1e-5)
    assert np.allclose(np.linalg.norm(wanted, axis=1), 1, atol=1e-4) and wanted.std(axis=0).max() > 0.03
    similar, found = database.search(wanted[[3, 90]], 1)
    assert found.ravel().tolist() == [3, 90] and similar == pytest.approx(1, abs=1e-4)
    assert database.tiles == [str(world / "tiles")]
    assert sorted(path.name for path in undisturbed.iterdir()) == [
        "aerial_features.bin", "aerial_filled.bin", "cellregion.npz", "config.yaml", "faiss.index",
        "model_weights.safetensors",
    ]  # fmt: skip


def _opened(database: ReferenceDatabase) -> tuple:
    return database.towers()[0], open_aerial(database.tiles)


def test_killed_builds_end_with_the_same_bytes(world: Path, undisturbed: Path, tmp_path: Path):
    output, done = tmp_path / "db", 0
    for batch in (3, 4, 1, 2):
        output.with_suffix(".kill_in").write_text(str(batch))
        code, printed = call(PROGRAM, *flags(world, output, index="hnsw"), preload="tests.killing_cells")
        assert code == -signal.SIGKILL, printed
        done += batch - 1
        assert (np.fromfile(output / "building.done", np.uint8) > 0).sum() == done, "finished batches were lost"
    code, printed = call(PROGRAM, *flags(world, output, index="hnsw"))
    assert code == 0, printed
    assert contents(output) == contents(undisturbed)


def test_two_processes_write_the_same_bytes_even_if_killed(world: Path, undisturbed: Path, tmp_path: Path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    code, output = in_processes(2, PROGRAM, *flags(world, whole, index="hnsw"))
    assert code == 0, output
    assert contents(whole) == contents(undisturbed)
    broken.with_suffix(".kill_in").write_text("3")
    code, output = in_processes(2, PROGRAM, *flags(world, broken, index="hnsw"), preload="tests.killing_cells")
    assert code < 0 and (np.fromfile(broken / "building.done", np.uint8) > 0).any(), output
    code, output = in_processes(2, PROGRAM, *flags(world, broken, index="hnsw"))
    assert code == 0, output
    assert contents(broken) == contents(undisturbed)


@pytest.mark.parametrize("left", [["building.json", "building.done"], ["building.done"]])
def test_a_kill_behind_the_work_loses_nothing(world: Path, undisturbed: Path, tmp_path: Path, left: list[str]):
    """config.yaml is written, and the journal is there or partly removed."""
    folder = tmp_path / "db"
    shutil.copytree(undisturbed, folder)
    plan = yaml.safe_load((folder / "config.yaml").read_text())["plan"]
    work = Work(ReferenceDatabase.open(folder).cells, 16)
    journal = {"building.json": json.dumps(plan).encode(), "building.done": bytes([1] * len(work))}
    for name in left:
        (folder / name).write_bytes(journal[name])
    code, output = call(PROGRAM, *flags(world, folder, index="hnsw"))
    assert code == 0 and "cells per second" not in output, output
    assert contents(folder) == contents(undisturbed)


def test_another_index_keeps_the_descriptors(world: Path, undisturbed: Path, tmp_path: Path):
    folder = tmp_path / "db"
    shutil.copytree(undisturbed, folder)
    code, output = call(PROGRAM, *flags(world, folder))
    assert code == 0 and "is complete" not in output and "cells per second" not in output
    database = ReferenceDatabase.open(folder)
    assert database.about["index"] == "flat" and not (folder / "faiss.index").exists()
    before = contents(undisturbed)
    assert (folder / "aerial_features.bin").read_bytes() == before["aerial_features.bin"]
    code, output = call(PROGRAM, *flags(world, folder))
    assert code == 0 and "is complete, nothing to do" in output
    code, output = call(PROGRAM, *flags(world, folder, index="hnsw"))
    assert code == 0 and contents(folder) == before


def test_holes_corrupt_tiles_and_float16(world: Path, tmp_path: Path):
    """A region that reaches 300 m beyond the tiles, with one tile that is no image."""
    shutil.copytree(world / "tiles", tmp_path / "tiles")
    column, row = tile_of()
    corrupt = tmp_path / "tiles" / str(ZOOM) / str(column) / f"{row}.png"
    corrupt.write_bytes(b"no image")
    region = write_geojson(tmp_path / "region.geojson", square(east=600, side=500).union(square(side=100)))
    given = flags(world, tmp_path / "db", tiles=tmp_path / "tiles", geojson=region, descriptor_type="float16")
    code, output = call(PROGRAM, *given)
    assert code == 0, output
    assert output.count(f"tile {corrupt} cannot be used") == 1
    counts = re.search(r"(\d+) of (\d+) cells have no aerial images and cannot be found", output)
    empty, total = map(int, counts.groups())
    assert re.search(r"[1-9]\d* reads of missing tiles, 1 corrupt tiles", output)
    database = ReferenceDatabase.open(tmp_path / "db")
    assert (database.filled == 0).sum() == empty == database.about["cells_without_images"] and 0 < empty < total
    assert database.descriptors.dtype == np.float16
    dead = np.flatnonzero(database.filled == 0)
    assert not database.descriptors[dead].any()
    # They lie beyond the tiles in the east, or in the corrupt one.
    latitude, longitude = database.cells.centres(dead)
    tile = tiles_area(ZOOM, *(np.array([own]) for own in (column, row)))
    east = longitude > FolderTiles(tmp_path / "tiles").coverage().bounds[2]
    assert (east | shapely.contains_xy(tile, longitude, latitude)).all() and 0 < east.sum() < len(dead)
    _, found = database.search(np.eye(16, dtype=np.float32), total)
    assert found.shape == (16, total - empty) and not np.isin(found, dead).any()


def test_two_sources_in_different_projections(world: Path, tmp_path: Path):
    """West of the middle a raster in UTM that shows the same picture, east of it the tiles."""
    rasterio = pytest.importorskip("rasterio")
    column, row = tile_of()
    for path in (world / "tiles" / str(ZOOM)).iterdir():
        if int(path.name) >= column:
            shutil.copytree(path, tmp_path / "east" / str(ZOOM) / path.name)
    _write_utm(rasterio, world / "tiles", tmp_path / "west.tif")
    given = flags(world, tmp_path / "db", tiles=None)
    code, output = call(PROGRAM, *given, "--tiles", tmp_path / "east", tmp_path / "west.tif")
    assert code == 0, output
    database = ReferenceDatabase.open(tmp_path / "db")
    assert (database.filled > 250).all()
    wanted = extract_cells(_opened(database)[0], open_aerial([str(world / "tiles")]), *database.cells.centres(), CONFIG)
    wanted = np.concatenate([part[1] for part in wanted])
    away = 1 - np.einsum("nd,nd->n", wanted, database.descriptors)
    other = 1 - np.einsum("nd,nd->n", wanted, np.roll(database.descriptors, 40, axis=0))
    assert np.median(away) < 0.1 * np.median(other)


def _write_utm(rasterio, tiles: Path, path: Path) -> None:
    """Projects all tiles to UTM."""
    from rasterio.transform import from_bounds, from_origin
    from rasterio.warp import reproject, transform_bounds

    source = FolderTiles(tiles)
    column, row = tile_of()
    reach = range(-2, 3)
    picture = np.concatenate(
        [np.concatenate([source.read(ZOOM, column + x, row + y) for x in reach], axis=1) for y in reach]
    )[..., :3].transpose(2, 0, 1)
    crs, bounds = "EPSG:32619", source.coverage().bounds
    mercator = transform_bounds("EPSG:4326", "EPSG:3857", *bounds)
    west, south, east, north = transform_bounds("EPSG:4326", crs, *bounds)
    width, height = int((east - west) / 0.6), int((north - south) / 0.6)
    projected = np.zeros((3, height, width), np.uint8)
    grid = from_origin(west, north, 0.6, 0.6)
    reproject(
        np.ascontiguousarray(picture), projected, src_transform=from_bounds(*mercator, *picture.shape[:0:-1]),
        src_crs="EPSG:3857", dst_transform=grid, dst_crs=crs, resampling=rasterio.enums.Resampling.bilinear,
    )  # fmt: skip
    shape = {"width": width, "height": height, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=grid, **shape) as file:
        file.write(projected)


def test_mistakes_end_in_one_line(world: Path, undisturbed: Path, tmp_path: Path):
    sea = write_geojson(tmp_path / "sea.geojson", square(east=5000))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    new = tmp_path / "new"
    foreign = tmp_path / "foreign.pth"
    save_checkpoint({"network": {}, "config": {"backbone": "ResNet18"}}, foreign)
    assert_mistakes(
        PROGRAM,
        [
            ([], 2, "--output is missing"),
            (["--output", new], 2, "--train is missing"),
            (flags(world, new, train=tmp_path), 2, "there is no best_model.pth"),
            (flags(world, new, tiles=tmp_path / "no"), 2, "there is no such file or folder"),
            (flags(world, new, train=foreign), 1, "not a checkpoint of towers"),
            (flags(world, new, geojson=sea), 2, "sea.geojson lies outside of the tiles"),
            (flags(world, new, index="ivfpq"), 2, "ivfpq needs at least 1000 cells"),
            (flags(world, tmp_path / "full"), 2, "--output: " + str(tmp_path / "full") + " is not empty"),
            (flags(world, undisturbed, batch_size=8), 2, "--batch_size: "),
            (flags(world, undisturbed, cell_size=20), 2, "was built with 30.0, not 20.0"),
            (flags(world, undisturbed, descriptor_type="float16"), 2, "give the same, or name another --output"),
            (flags(world, new, cell_size=0.003), 1, "are free on the disk"),
        ],
    )
    assert not new.exists()
    about = yaml.safe_load((undisturbed / "config.yaml").read_text())
    assert about["plan"]["batch_size"] == 16 and about["network"]["aerial_size"] == 64
