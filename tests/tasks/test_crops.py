"""Crops of queries through all steps, compared with a plain loop over queries."""

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch.nn import functional as F
from torchvision.transforms.v2.functional import five_crop

from datasets.decoding import ImageFiles
from datasets.layouts import TestFolders
from datasets.test_dataset import TestSet, read_test_set
from model.network import GeoLocalizationNet
from retrieval.expansion import expand_queries
from retrieval.pca import fit_pca
from retrieval.table import DescriptorTable
from tasks.extraction import Extractor
from tasks.steps import Steps
from tasks.test_time import TestTime

SIZE = (40, 56)  # of the database; the queries keep their own ratio


@pytest.fixture(scope="module")
def network() -> GeoLocalizationNet:
    torch.manual_seed(0)
    return GeoLocalizationNet("timm:test_resnet", 8).eval()


@pytest.fixture
def test_set(city: Path) -> TestSet:
    return read_test_set(TestFolders("x", city / "test/database", city / "test/queries"))


def taken(network: GeoLocalizationNet, test_set: TestSet, **wanted: object) -> Steps:
    steps = Steps(test_set, Extractor(Accelerator(cpu=True), shorter_side=SIZE), TestTime(**wanted))
    steps.take(network)
    return steps


def table_of(vectors: np.ndarray) -> DescriptorTable:
    table = DescriptorTable(*vectors.shape)
    table.add([(np.arange(len(vectors)), vectors)])
    return table


@torch.inference_mode()
def described(network: GeoLocalizationNet, test_set: TestSet, share: float) -> tuple[np.ndarray, np.ndarray]:
    """The database at SIZE, and five crops of the queries, whose shorter side is that of SIZE: (5, q, d)."""
    read = ImageFiles(test_set.database, SIZE).read
    database = torch.cat([network(read(row)[None]) for row in range(len(test_set.database))])
    source, side = ImageFiles(test_set.queries, min(SIZE)), round(share * min(SIZE))
    queries = [source.read(row)[None] for row in range(len(test_set.queries))]
    crops = [torch.cat([network(crop) for crop in five_crop(query, [side, side])]) for query in queries]
    return database.numpy(), torch.stack(crops, dim=1).numpy()


def order_of(database: np.ndarray, crops: np.ndarray, weight: float) -> list[list[int]]:
    """Of each query all database images by their distance from the nearest crop, less the votes."""
    order = []
    for query in range(crops.shape[1]):
        distances = 2 - 2 * crops[:, query] @ database.T
        places = distances.argsort(axis=1).argsort(axis=1)
        for first in (1, 5, 10):
            votes = (places < first).sum(axis=0)
            distances = distances - weight * np.where((places < first) & (votes > 1), votes, 0) / first
        order.append(distances.min(axis=0).argsort().tolist())
    return order


@pytest.mark.parametrize(("method", "weight"), [("nearest_crop", 0.0), ("maj_voting", 0.01)])
def test_predictions_are_those_of_a_plain_loop(
    method: str, weight: float, network: GeoLocalizationNet, test_set: TestSet
):
    steps = taken(network, test_set, method=method, crops=0.8)
    database, crops = described(network, test_set, 0.8)
    assert steps.evaluation.predictions.tolist() == order_of(database, crops, weight)
    assert [row["step"] for row in steps.rows][0] == "plain" and "five crops of queries" in steps.rows[1]["step"]
    nearest = (crops @ database.T).max(axis=0)
    if method == "nearest_crop":
        assert np.allclose(steps.evaluation.similarities, -np.sort(-nearest, axis=1), atol=1e-5)


def test_a_pca_and_query_expansion_change_each_crop(network: GeoLocalizationNet, test_set: TestSet):
    steps = taken(network, test_set, method="nearest_crop", crops=0.8, pca_dim=3, query_expansion=2)
    database, crops = described(network, test_set, 0.8)
    pca = fit_pca(table_of(database), 3)
    database, crops = pca.project(database), np.stack([pca.project(crop) for crop in crops])
    base = table_of(database)
    expanded = [np.concatenate([own for _, own in expand_queries(table_of(crop), base, 2)]) for crop in crops]
    assert steps.queries.dim == 15 and steps.database.dim == 3
    assert np.allclose(steps.queries.descriptors(), np.concatenate(expanded, axis=1), atol=1e-4)
    similarities = (np.stack(expanded) @ database.T).max(axis=0)
    assert np.allclose(steps.evaluation.similarities, -np.sort(-similarities, axis=1), atol=1e-4)


@torch.inference_mode()
def test_five_crops_and_a_central_crop_of_queries_in_their_own_ratio(network: GeoLocalizationNet, test_set: TestSet):
    _, crops = described(network, test_set, 1.0)
    mean = crops.mean(axis=0)
    found = taken(network, test_set, method="five_crops").queries.descriptors()
    assert np.allclose(found, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-5)
    source = ImageFiles(test_set.queries)
    expected = []
    for row in range(len(test_set.queries)):
        image = source.read(row)[None] / 255
        scale = max(SIZE[0] / image.shape[2], SIZE[1] / image.shape[3])
        size = [max(least, round(side * scale)) for least, side in zip(SIZE, image.shape[2:], strict=True)]
        image = F.interpolate(image, size=size, mode="bilinear", antialias=True)
        top, left = (round((own - wanted) / 2) for own, wanted in zip(size, SIZE, strict=True))
        expected.append(network(image[..., top : top + SIZE[0], left : left + SIZE[1]]))
    found = taken(network, test_set, method="central_crop").queries.descriptors()
    assert np.allclose(found, torch.cat(expected).numpy(), atol=1e-5)
