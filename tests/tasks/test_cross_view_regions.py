import json
from pathlib import Path

import numpy as np
import pytest
import torch
from shapely.geometry import box, mapping

from cells.region import cut_region
from commons.errors import ArgumentError
from commons.sphere import haversine_km
from demo import write
from tasks import cross_view_regions
from tasks.cross_view_regions import find_tiles, nearest_cells, open_region
from tests.street_photos import position, write_tiles

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_tiles(folder / "tiles")
    return folder


def outline(path: Path, west: float, north: float, east: float, south: float) -> Path:
    shape = box(west, south, east, north)
    feature = {"type": "Feature", "properties": {}, "geometry": mapping(shape)}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def test_tiles_are_those_of_the_flag_of_the_folder_or_of_the_training(world: Path, tmp_path: Path):
    assert find_tiles(["a", "b"], world, {}) == ["a", "b"]
    assert find_tiles([], world, {"tiles": ["other"]}) == [str(world / "tiles")]
    assert find_tiles([], tmp_path, {"tiles": ["other"]}) == ["other"]
    assert find_tiles([], None, {"dataset_folder": str(world), "tiles": []}) == [str(world / "tiles")]
    with pytest.raises(ArgumentError, match="tiles.*contains no aerial images"):
        find_tiles([], tmp_path, {})


def test_a_demo_is_made_only_where_its_tiles_are_used(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = []

    def make(name: str, cache: Path) -> str:
        made.append(name)
        return str(world)

    monkeypatch.setattr(cross_view_regions, "demo_or_folder", make)
    monkeypatch.setattr(write, "demo_or_folder", make)
    trained = {"dataset_folder": "demo-aerial"}
    assert find_tiles([], world, trained) == [str(world / "tiles")] and not made
    assert find_tiles([], tmp_path, trained | {"tiles": ["other"]}) == ["other"] and not made
    assert find_tiles([], tmp_path, trained) == [str(world / "tiles")] and made == ["demo-aerial"]
    assert find_tiles(["demo-aerial/tiles"], None, {}) == [str(world / "tiles")] and len(made) == 2
    outline(world / "outline.json", *position(0.4, 0.4)[::-1], *position(0.6, 0.6)[::-1])
    assert len(open_region([str(world / "tiles")], "demo-aerial/outline.json", None, 30, CPU).cells) and len(made) == 3


def test_a_region_is_what_tiles_cover_or_an_outline(world: Path, tmp_path: Path):
    tiles = [str(world / "tiles")]
    whole = open_region(tiles, None, world, 30, CPU)
    north, west = position(0.4, 0.4)
    south, east = position(0.6, 0.6)
    part = open_region(tiles, str(outline(tmp_path / "part.json", west, north, east, south)), world, 30, CPU)
    assert 0 < len(part.cells) < len(whole.cells) / 10
    inside, outside = (np.array(position(x, 0.5))[:, None] for x in (0.5, 0.7))
    assert part.holds(*inside).all() and not part.holds(*outside).any() and whole.holds(*outside).all()
    far = str(outline(tmp_path / "far.json", 0, 1, 1, 0))
    with pytest.raises(ArgumentError, match="lies outside of the tiles"):
        open_region(tiles, far, world, 30, CPU)
    outline(tmp_path / "region.geojson", west, north, east, south)
    assert len(open_region(tiles, None, tmp_path, 30, CPU).cells) == len(part.cells)


def test_the_nearest_cells_are_searched():
    cells = cut_region(box(9.0, 55.0, 9.02, 55.01))
    at = np.array([55.002, 55.008]), np.array([9.003, 9.015])
    assert (nearest_cells(cells, *at, len(cells)) == np.arange(len(cells))).all()
    chosen = nearest_cells(cells, *at, 50)
    assert len(chosen) == 50 and (np.diff(chosen) > 0).all()
    middles = cells.centres()
    away = np.min([haversine_km(*middles, lat, lon) for lat, lon in zip(*at, strict=True)], axis=0)
    assert away[chosen].max() <= np.delete(away, chosen).min() + 1e-9
