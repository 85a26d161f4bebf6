from pathlib import Path

import numpy as np
import pytest
import torch

from model.two_towers import build_two_towers
from tasks.aerial_cells import extract_cells, open_aerial
from tests.street_photos import position, write_tiles

CONFIG = {"levels": 2, "metres_per_pixel": 1.0, "aerial_size": 32, "image_size": [48, 64]}


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiles(tmp_path_factory.mktemp("world") / "tiles")


def test_descriptors_are_those_of_the_pyramids(tiles: Path):
    torch.manual_seed(0)
    network = build_two_towers("ResNet18", 32, aggregation_options={"heads": 4}, levels=2)
    aerial = open_aerial([str(tiles)], cache_mb=16)
    at = np.array([position(x, 0.5) for x in (0.2, 0.4, 0.5, 0.6, 0.8)]).T
    bearings = np.array([0.0, 90.0, 0.0, 10.0, 0.0])
    parts = list(extract_cells(network, aerial, *at, CONFIG, bearing=bearings, batch_size=2))
    assert [start for start, _, _ in parts] == [0, 2, 4]
    found = np.concatenate([descriptors for _, descriptors, _ in parts])
    pyramids, _ = aerial.pyramids(*at, 1.0, 32, 2, bearings)
    with torch.inference_mode():
        wanted = network.eval()(pyramids).numpy()
    assert np.allclose(found, wanted, atol=1e-5) and np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.concatenate([filled for _, _, filled in parts]).tolist() == [1.0] * 5


def test_places_beyond_the_tiles_say_that_nothing_shows_them(tiles: Path):
    network = build_two_towers("ResNet18", 32, aggregation_options={"heads": 4}, levels=2)
    aerial = open_aerial([str(tiles)], cache_mb=16)
    at = np.array([position(0.5, 0.5), position(0.0, 0.5), position(3.0, 0.5)]).T
    ((_, _, filled),) = extract_cells(network, aerial, *at, CONFIG)
    assert filled[0] == 1 and filled[1] == pytest.approx(0.5, abs=0.05) and filled[2] == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_that_cuts_ahead_finds_what_a_cpu_finds(tiles: Path):
    torch.manual_seed(0)
    network = build_two_towers("ResNet18", 32, aggregation_options={"heads": 4}, levels=2)
    at = np.array([position(x, 0.5) for x in np.linspace(0.2, 0.8, 40)]).T
    found = []
    for device in ("cpu", "cuda"):
        aerial = open_aerial([str(tiles)], device, cache_mb=16)
        parts = extract_cells(network.to(device), aerial, *at, CONFIG, batch_size=3)
        found.append(np.concatenate([descriptors for _, descriptors, _ in parts]))
    assert np.einsum("nd,nd->n", *found).min() > 0.999
