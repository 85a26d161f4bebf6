"""Positions of photos from networks of each task."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from cells.building import build_partition
from commons.checkpoints import save_checkpoint
from commons.errors import ArgumentError, PlacewiseError
from datasets.decoding import ImageFiles
from datasets.memory_images import MemoryImages
from datasets.reading import read_images, read_places
from metrics.calibration import Calibration
from model.cell_network import CellNet
from model.network import GeoLocalizationNet
from tasks.cell_networks import heads_for
from tasks.cell_partitions import to_text
from tasks.locating import LocatorOptions, open_locator

CONFIG = {"backbone": "ResNet18", "cut_after": "layer1", "fc_output_dim": 0, "image_size": 64, "resize_test_imgs": True}


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network over four cells, not trained."""
    file = tmp_path_factory.mktemp("cells") / "cells.pth"
    draw = np.random.default_rng(0)
    partition = build_partition("kmeans", draw.uniform(50, 55, 60), draw.uniform(5, 9, 60), {"cells": 4})
    torch.manual_seed(1)
    encoder = GeoLocalizationNet("ResNet18", fc_output_dim=0, cut_after="layer1")
    network = CellNet(encoder, heads_for(partition, ["cross_entropy"]))
    torch.nn.init.normal_(network.head[1].weight, std=3)
    config = CONFIG | {"cell_loss": ["cross_entropy"], "cell_loss_options": {}}
    entries = {"network": network.state_dict(), "config": config, "task": "geolocation"}
    save_checkpoint(entries | {"partition": to_text(partition)}, file)
    return file


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of place recognition, not trained."""
    file = tmp_path_factory.mktemp("places") / "places.pth"
    torch.manual_seed(0)
    network = GeoLocalizationNet("ResNet18", fc_output_dim=0, cut_after="layer1")
    save_checkpoint({"network": network.state_dict(), "config": CONFIG}, file)
    return file


def opened(file: Path, **options: object):
    return open_locator([file], Accelerator(cpu=True), LocatorOptions(precision="fp32", **options))


def test_cells_answer_their_points_in_the_order_of_their_probabilities(cells: Path, city: Path):
    locator = opened(cells)
    photos = ImageFiles(read_images(city / "test" / "queries"), locator.shorter_side)
    found = locator.locate(photos, 3)
    assert found.latitude.shape == found.probability.shape == found.names.shape == (6, 3)
    assert (np.diff(found.probability, axis=1) <= 0).all() and found.cell_probabilities.sum(axis=1) == pytest.approx(1)
    point = locator.partition.finest.point
    assert found.latitude == pytest.approx(point.latitude[found.cells[:, :3]], abs=1e-5)
    assert found.longitude == pytest.approx(point.longitude[found.cells[:, :3]], abs=1e-5)
    assert np.isnan(found.similarity).all()
    (outline,) = locator.outlines(found.cells[0, :1])
    assert outline.contains(outline.representative_point())


def test_files_in_memory_get_the_answers_of_files_on_disk_and_damaged_ones_none(cells: Path, city: Path):
    locator = opened(cells)
    photos = ImageFiles(read_images(city / "test" / "queries"), locator.shorter_side)
    on_disk = locator.locate(photos, 2)
    files = [photos.places.path(row).read_bytes() for row in range(6)]
    with pytest.raises(PlacewiseError, match="none of its images can be decoded"):
        locator.locate(MemoryImages([b"no image"], locator.shorter_side), 2)
    in_memory = locator.locate(MemoryImages(files, locator.shorter_side), 2)
    assert on_disk.heading is in_memory.heading is None
    for one, other in zip(on_disk[:-1], in_memory[:-1], strict=True):
        assert np.array_equal(one, other, equal_nan=one.dtype != object)


def test_places_answer_the_positions_of_the_most_similar_images(places: Path, city: Path):
    locator = opened(places, database=str(city / "test" / "database"))
    photos = ImageFiles(read_images(city / "test" / "queries"), locator.shorter_side)
    found, again = locator.locate(photos, 2), locator.locate(photos, 2)
    database = read_places(city / "test" / "database")
    paths = [str(database.path(row)) for row in range(len(database))]
    rows = np.vectorize(paths.index)(found.names)
    assert found.latitude == pytest.approx(database.latitude[rows])
    assert (np.diff(found.similarity, axis=1) <= 0).all() and np.isnan(found.probability).all()
    assert np.array_equal(found.similarity, again.similarity)  # the descriptors of the database are kept
    assert found.cells.shape == (6, 0) and locator.outlines([]) == []


def test_a_calibration_gives_the_probability_of_the_first_answer(places: Path, city: Path, tmp_path: Path):
    calibration = Calibration(("L2",), (0.0,), (1.0,), (0.0,), float(np.log(3)))
    (tmp_path / "calibration.json").write_text(json.dumps(calibration.record()))
    file = str(tmp_path / "calibration.json")
    locator = opened(places, database=str(city / "test" / "database"), calibration=file)
    photos = ImageFiles(read_images(city / "test" / "queries"), locator.shorter_side)
    found = locator.locate(photos, 2)
    assert found.probability[:, 0] == pytest.approx(0.75) and np.isnan(found.probability[:, 1]).all()


def test_mistakes_name_the_option(cells: Path, places: Path, city: Path, tmp_path: Path):
    with pytest.raises(ArgumentError, match="database.* is for networks of place recognition"):
        opened(cells, database=str(city))
    with pytest.raises(ArgumentError, match="product: choose from best, mean"):
        opened(cells, answer="product")
    with pytest.raises(ArgumentError, match="database.* is missing"):
        opened(places)
    with pytest.raises(ArgumentError, match="answer.* is for geolocation networks"):
        opened(places, answer="best")
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(PlacewiseError, match="is not a calibration.json"):
        opened(places, database=str(city / "test" / "database"), calibration=str(tmp_path / "c.json"))
