import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from commons.errors import UsageError
from datasets.layouts import TestFolders
from datasets.reading import read_places
from datasets.test_dataset import TestSet, read_test_set
from model.network import GeoLocalizationNet
from model.test_time import Ensemble, FiveCrops, MultiScale
from retrieval.pca import fit_pca, load_pca
from tasks.extraction import Extractor
from tasks.test_time import TestTime, check_test_time, fit_to_images, read_pca


@pytest.fixture(scope="module")
def network() -> GeoLocalizationNet:
    torch.manual_seed(0)
    return GeoLocalizationNet("MobileNet_V3_Small", 16)


@pytest.fixture
def test_set(city: Path) -> TestSet:
    return read_test_set(TestFolders("x", city / "test/database", city / "test/queries"))


def test_networks_of_database_and_queries(network: GeoLocalizationNet):
    assert TestTime().networks(network) == (network, network)
    database, queries = TestTime(scales=(0.5, 1.0), crops=0.8).networks(network)
    assert isinstance(database, MultiScale) and isinstance(queries, FiveCrops)
    assert isinstance(queries.network, MultiScale) and queries.share == 0.8
    database, queries = TestTime(crops=1.0).networks(Ensemble([network, network]))
    assert [type(member) for member in database.members] == [GeoLocalizationNet] * 2
    assert [type(member) for member in queries.members] == [FiveCrops] * 2


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (TestTime(pca_dim=17), "`pca_dim`: 17 is too many"),
        (TestTime(pca_dim=6), "`pca_dim`: 6 is too many: a PCA of 6 images"),
        (TestTime(database_augmentation=6), "`database_augmentation`: 6 is more than"),
        (TestTime(query_expansion=7), "`query_expansion`: 7 is more than"),
        (TestTime(scales=(0.25, 1.0)), "`multi_scale`: 0.25 .* to 16 pixels"),
        (TestTime(crops=0.25), "`five_crops`: 0.25 .* to 16 pixels"),
    ],
)
def test_what_cannot_be_done_is_refused(
    wanted: TestTime, words: str, network: GeoLocalizationNet, test_set: TestSet, city: Path
):
    with pytest.raises(UsageError, match=words):
        check_test_time(wanted, network, [test_set], None)


def test_what_can_be_done_passes(network: GeoLocalizationNet, test_set: TestSet, city: Path):
    wanted = TestTime(scales=(0.5, 1.0), crops=1.0, pca_dim=5, database_augmentation=5, query_expansion=6)
    check_test_time(wanted, network, [test_set], None)
    check_test_time(TestTime(scales=(0.25, 1.0)), network, [test_set], 128)
    check_test_time(TestTime(pca_dim=16), network, [test_set], None, read_places(city / "train"))


def test_a_pca_of_images_is_fitted_to_descriptors_extracted_as_those_of_the_database(
    network: GeoLocalizationNet, city: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    places = read_places(city / "train")
    extractor = Extractor(Accelerator(cpu=True))
    wanted = TestTime(scales=(0.5, 1.0), crops=0.8, pca_dim=4)
    fitted = fit_to_images(wanted, network, places, extractor, tmp_path / "pca.pth")
    table = extractor.table(MultiScale(network, (0.5, 1.0)), places, "again")
    assert np.allclose(fitted.variances, fit_pca(table, 4).variances)
    assert np.array_equal(load_pca(tmp_path / "pca.pth").components, fitted.components)
    assert caplog.messages[0].startswith("A PCA of 32 images keeps ") and " 4 of 16 dimensions" in caplog.messages[0]
    assert caplog.messages[1].startswith("Extracting the descriptors and fitting the PCA took ")
    assert len(read_pca(str(tmp_path / "pca.pth"), 0, 16).components) == 4
    assert len(read_pca(str(tmp_path / "pca.pth"), 3, 16).components) == 3
    with pytest.raises(UsageError, match="--pca_dim 5: --pca_file .* has 4"):
        read_pca(str(tmp_path / "pca.pth"), 5, 16)
    with pytest.raises(UsageError, match="with 16 dimensions, these have 20"):
        read_pca(str(tmp_path / "pca.pth"), 0, 20)
