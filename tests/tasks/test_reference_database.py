from pathlib import Path

import numpy as np
import pytest
import yaml
from shapely.geometry import box

from cells.region import RegionCells, cut_region
from commons.errors import PlacewiseError
from model.two_towers import TwoTowers, build_two_towers
from retrieval.index import in_order
from tasks.reference_database import ReferenceDatabase, share_to_byte
from tests.tasks.aerial_world import write_database

CONFIG = {
    "backbone": "MobileNet_V3_Small", "fc_output_dim": 16, "aggregation": "spatial_softmax",
    "aggregation_options": {"heads": 2}, "levels": 2, "metres_per_pixel": 1.0, "aerial_size": 64, "cell_size": 30.0,
    "image_size": [64, 64],
}  # fmt: skip
BUILT = ("backbone", "fc_output_dim", "aggregation", "aggregation_options", "levels")


@pytest.fixture(scope="module")
def network() -> TwoTowers:
    return build_two_towers(**{name: CONFIG[name] for name in BUILT}).eval()


@pytest.fixture(scope="module")
def cells() -> RegionCells:
    return cut_region(box(8.0, 50.0, 8.02, 50.012))


def unit(count: int, dim: int = 16, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def brute(descriptors: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    similar = queries @ descriptors.astype(np.float32).T
    order = np.argsort(-similar, axis=1, kind="stable")[:, :k]
    found, similar = in_order(order, np.take_along_axis(similar, order, 1))
    return similar, found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["float32", "float16"])
@pytest.mark.parametrize("index", ["flat", "hnsw", "ivfpq"])
def test_what_is_written_is_read_and_found(
    tmp_path: Path, network: TwoTowers, cells: RegionCells, index: str, kind: str
):
    assert len(cells) > 2000
    table, queries = unit(len(cells)).astype(kind), unit(50, seed=1)
    filled = np.ones(len(cells))
    made = write_database(tmp_path / "db", cells, table, filled, network, CONFIG, ["a/tiles", "b.tif"], index)
    database = ReferenceDatabase.open(tmp_path / "db")
    assert database.tiles == made.tiles == ["a/tiles", "b.tif"]
    assert np.array_equal(database.descriptors, table) and database.descriptors.dtype == kind
    assert np.array_equal(database.cells.centres(), cells.centres()) and (database.filled == 255).all()
    similar, found = database.search(queries, 20)
    assert similar.shape == found.shape == (50, 20) and found.dtype == np.int64
    wanted_similar, wanted = brute(table, queries, 20)
    if index == "flat":
        assert np.array_equal(found, wanted)
    shared = np.mean([len(np.intersect1d(*pair)) for pair in zip(found, wanted, strict=True)]) / 20
    assert shared > (0.55 if index == "ivfpq" else 0.99)
    own = np.einsum("qd,qkd->qk", queries, table[found].astype(np.float32))
    assert np.allclose(similar, own, atol=2e-3 if (index, kind) == ("hnsw", "float16") else 1e-5)
    rebuilt, config = database.towers()
    assert config["aerial_size"] == 64 and not rebuilt.training
    state = network.state_dict()
    assert all(np.array_equal(value, state[name]) for name, value in rebuilt.state_dict().items())


@pytest.mark.parametrize("index", ["flat", "hnsw", "ivfpq"])
def test_cells_without_images_are_never_found(tmp_path: Path, network: TwoTowers, cells: RegionCells, index: str):
    filled = np.ones(len(cells), np.float32)
    filled[::2] = 0
    table = unit(len(cells))
    database = write_database(tmp_path, cells, table, filled, network, CONFIG, ["t"], index)
    assert (database.descriptors[::2] == 0).all() and np.array_equal(database.descriptors[1::2], table[1::2])
    # All that has an image points away from these queries, so zeros would come first.
    _, found = database.search(-table[1:6:2], len(cells))
    assert found.shape == (3, len(cells) // 2) and (found % 2 == 1).all()
    assert all(len(np.unique(row)) == len(row) for row in found)
    assert database.search(table[[1, 7]], 1)[1].ravel().tolist() == [1, 7]


def test_shares_keep_nothing_and_all_apart():
    shares = np.array([0, 1e-6, 0.5, 1 - 1e-6, 1])
    assert share_to_byte(shares).tolist() == [0, 1, 127, 254, 255]


def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path, network: TwoTowers, cells: RegionCells):
    with pytest.raises(PlacewiseError, match="is not a reference database"):
        ReferenceDatabase.open(tmp_path)
    write_database(tmp_path, cells, unit(len(cells)), np.ones(len(cells)), network, CONFIG, ["t"], "hnsw")
    (tmp_path / "building.json").write_text("{}")
    with pytest.raises(PlacewiseError, match="is incomplete; repeat"):
        ReferenceDatabase.open(tmp_path)
    (tmp_path / "building.json").unlink()
    index = (tmp_path / "faiss.index").read_bytes()
    (tmp_path / "faiss.index").write_bytes(index[: len(index) // 2])
    with pytest.raises(PlacewiseError, match="faiss.index: is missing, damaged"):
        ReferenceDatabase.open(tmp_path).search(unit(1), 1)
    with open(tmp_path / "aerial_features.bin", "ab") as file:
        file.write(b"more")
    with pytest.raises(PlacewiseError, match=r"aerial_features.bin: has \d+ bytes instead of"):
        ReferenceDatabase.open(tmp_path)
    about = yaml.safe_load((tmp_path / "config.yaml").read_text())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(about | {"descriptor_type": "int4"}))
    with pytest.raises(PlacewiseError, match="config.yaml: does not contain descriptor_type"):
        ReferenceDatabase.open(tmp_path)
