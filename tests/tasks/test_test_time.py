import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from commons.errors import UsageError
from datasets.decoding import ImageFiles
from datasets.layouts import TestFolders
from datasets.reading import read_places
from datasets.test_dataset import TestSet, read_test_set
from model.network import GeoLocalizationNet
from model.test_time import CentralCrop, CropsApart, Ensemble, FiveCrops, MultiScale
from retrieval.pca import fit_pca, load_pca
from tasks.extraction import Extractor
from tasks.test_time import STEPS, TestTime, check_test_time, fit_to_images, for_images, read_pca


@pytest.fixture(scope="module")
def network() -> GeoLocalizationNet:
    torch.manual_seed(0)
    return GeoLocalizationNet("MobileNet_V3_Small", 16)


@pytest.fixture
def test_set(city: Path) -> TestSet:
    return read_test_set(TestFolders("x", city / "test/database", city / "test/queries"))


def test_networks_of_database_and_queries(network: GeoLocalizationNet):
    assert TestTime().networks(network) == (network, network)
    database, queries = TestTime(scales=(0.5, 1.0), method="five_crops", crops=0.8).networks(network)
    assert isinstance(database, MultiScale) and isinstance(queries, FiveCrops)
    assert isinstance(queries.network, MultiScale) and queries.share == 0.8
    ensemble = Ensemble([network, network])
    database, queries = TestTime(method="five_crops").networks(ensemble)
    assert [type(member) for member in database.members] == [GeoLocalizationNet] * 2
    assert [type(member) for member in queries.members] == [FiveCrops] * 2
    for method in ("nearest_crop", "maj_voting"):
        database, queries = TestTime(method=method, crops=0.7).networks(ensemble)
        assert database is ensemble and isinstance(queries, CropsApart) and queries.network is ensemble
        assert queries.share == 0.7 and queries.descriptor_dim == 5 * 32
    _, queries = TestTime(method="central_crop", crop_size=(40, 50)).networks(network)
    assert isinstance(queries, CentralCrop) and queries.size == [40, 50]


def test_queries_keep_their_aspect_ratio_for_crops(test_set: TestSet):
    assert [TestTime(method=method).query_size((40, 60)) for method in STEPS] == [None, 40, 40, 40]
    assert [TestTime(method=method).query_size(48) for method in STEPS] == [None, 48, 48, 48]
    assert TestTime().query_size((40, 60)) == (40, 60)
    size = tuple(ImageFiles(test_set.database).read(0).shape[-2:])
    for given, expected in ((None, size), ((40, 60), (40, 60)), (32, None)):
        found = for_images(TestTime(method="central_crop"), test_set.database, given).crop_size
        assert found == expected or expected is None and min(found) == 32
    assert for_images(TestTime(method="maj_voting"), test_set.database, None).crop_size is None


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (TestTime(pca_dim=17), "`pca_dim`: 17 is too many"),
        (TestTime(pca_dim=6), "`pca_dim`: 6 is too many: a PCA of 6 images"),
        (TestTime(database_augmentation=6), "`database_augmentation`: 6 is more than"),
        (TestTime(query_expansion=7), "`query_expansion`: 7 is more than"),
        (TestTime(scales=(0.25, 1.0)), "`multi_scale`: 0.25 .* to 16 pixels"),
        (TestTime(method="five_crops", crops=0.25), "`five_crops`: 0.25 .* to 16 pixels"),
        (TestTime(method="maj_voting", crops=0.25), "`five_crops`: 0.25 .* to 16 pixels"),
    ],
)
def test_what_cannot_be_done_is_refused(
    wanted: TestTime, words: str, network: GeoLocalizationNet, test_set: TestSet, city: Path
):
    with pytest.raises(UsageError, match=words):
        check_test_time(wanted, network, [test_set], None)


def test_what_can_be_done_passes(network: GeoLocalizationNet, test_set: TestSet, city: Path):
    wanted = TestTime(scales=(0.5, 1.0), method="five_crops", pca_dim=5, database_augmentation=5, query_expansion=6)
    check_test_time(wanted, network, [test_set], None)
    check_test_time(TestTime(scales=(0.25, 1.0)), network, [test_set], 128)
    check_test_time(TestTime(pca_dim=16), network, [test_set], None, read_places(city / "train"))


def test_a_pca_of_images_is_fitted_to_descriptors_extracted_as_those_of_the_database(
    network: GeoLocalizationNet, city: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    places = read_places(city / "train")
    extractor = Extractor(Accelerator(cpu=True))
    wanted = TestTime(scales=(0.5, 1.0), method="five_crops", crops=0.8, pca_dim=4)
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
