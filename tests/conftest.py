"""A tiny data set in SF-XS layout that every test can train and evaluate on in seconds."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import call
from tests.training_runs import flags

if "PYTEST_XDIST_WORKER" in os.environ:  # the processes of pytest-xdist share the cores
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the files that have slow tests, so that the processes of pytest-xdist end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


EAST, NORTH = 548_000.0, 4_180_000.0


def sf_name(east: float, north: float, heading: float | str = "", note: str = "", extension: str = ".jpg") -> str:
    """A file name in SF-XL's form, with empty fields where nothing is known."""
    heading = heading if isinstance(heading, str) else f"{heading:03.0f}"
    return f"@{east:010.2f}@{north:010.2f}@10@S@037.76623@-122.45497@pano@@{heading}@@@@202001@{note}@{extension}"


def write_picture(path: Path, place: int, draw: np.random.Generator, size: tuple[int, int] = (64, 64)) -> None:
    """Writes a noisy picture of a place: the same place gives the same coarse colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(place).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.NEAREST), dtype=np.int16)
    noisy = np.clip(pixels + draw.integers(-20, 20, pixels.shape), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(path)


def write_city(folder: Path, classes: int = 8, images: int = 4) -> Path:
    """Writes train, val and test: `classes` cells of 10 m, 50 m apart, all in one group of the default grid."""
    draw = np.random.default_rng(0)
    for place in range(classes):
        for _ in range(images):
            east, north = EAST + 50 * place + draw.uniform(1, 9), NORTH + draw.uniform(1, 9)
            write_picture(folder / "train" / sf_name(east, north, draw.integers(0, 29)), place, draw)
    for part in ("val", "test"):
        for place in range(6):
            east = EAST + 50 * place + 3
            write_picture(folder / part / "database" / sf_name(east, NORTH, 10), place, draw)
            write_picture(folder / part / "queries" / sf_name(east + 5, NORTH, 12), place, draw)
    return folder


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set; read only."""
    return write_city(tmp_path_factory.mktemp("city"))


@pytest.fixture
def own_city(tmp_path: Path) -> Path:
    """A copy of the tiny data set that a test may spoil."""
    return write_city(tmp_path / "city")


@pytest.fixture(scope="session")
def finished(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training of three epochs of 20 iterations that nothing disturbed; read only."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    code, output = call("train.py", *flags(city, folder), "--num_preds_to_save", 2)
    assert code == 0, output
    return folder
