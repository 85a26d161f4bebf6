"""A small network for the demo country, trained at first use."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from commons.errors import PlacewiseError
from commons.files import CACHE
from demo.write import demo_or_folder

ROOT = Path(__file__).parents[1]
DEMO, FOLDER = "demo-country", CACHE / "app-demo"
FLAGS = (
    "--method", "cells", "--backbone", "EfficientNet_Lite0", "--cells", "admin", "--cache_features", "ram",
    "--image_size", "160", "--resize_test_imgs", "--epochs_num", "15", "--iterations_per_epoch", "100",
)  # fmt: skip
AREAS = "municipalities.geojson"


class Demo(NamedTuple):
    """Attributes:
    checkpoint: best_model.pth.
    photos: photos of the test set, on which the network was not trained.
    areas: GeoJSON file of named areas, if the data set has one.
    """

    checkpoint: Path
    photos: list[Path]
    areas: Path | None


def demo_network(dataset_folder: str = DEMO, folder: Path = FOLDER, flags: Sequence[str] = FLAGS) -> Demo:
    """Trains the network, with progress bars, unless it was trained before; an interrupted run is continued.

    Args:
        dataset_folder: as for train.py.
        folder: folder of the run.
        flags: additional flags of train.py.

    Raises:
        PlacewiseError: if the training ends without a network.
    """
    checkpoint, images = folder / "best_model.pth", Path(demo_or_folder(dataset_folder, CACHE))
    areas = images / AREAS
    if not (folder / "results.json").exists():
        stopped = folder / "last_checkpoint.pth"
        polygons = ["--polygons", str(areas)] if areas.exists() else []
        started = [*flags, *polygons, "--dataset_folder", str(images), "--output_folder", str(folder)]
        given = ["--resume_train", str(stopped)] if stopped.exists() else started
        print("Training a small network on the demo country; this is done only once.", flush=True)
        command = [sys.executable, str(ROOT / "train.py"), *given]
        if subprocess.run(command, cwd=ROOT, check=False).returncode or not checkpoint.exists():
            raise PlacewiseError(
                "training the network of the demo country failed, see above; alternatively, give --resume_model"
            )
    names = pq.read_table(folder / "predictions.parquet", columns=["path"])["path"].to_pylist()
    return Demo(checkpoint, [images / name for name in names], areas if areas.exists() else None)


def evenly(photos: Sequence[Path], count: int = 8) -> list[Path]:
    """Returns up to `count` photos, evenly spaced in the list."""
    rows = np.unique(np.linspace(0, len(photos) - 1, count).round().astype(int)) if photos else []
    return [photos[row] for row in rows]
