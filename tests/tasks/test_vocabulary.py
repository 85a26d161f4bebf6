"""Vocabularies of test sets, and networks that see a batch at once, through whole evaluations."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from commons.errors import ArgumentError, PlacewiseError
from datasets.decoding import ImageFiles
from datasets.layouts import TestFolders
from datasets.test_dataset import TestSet, read_test_set
from flags.evaluation import TestTimeSettings
from model.aggregation.vocabulary import read_vocabulary
from model.network import GeoLocalizationNet
from model.test_time import Ensemble
from reports.tables import results_text
from tasks.evaluation import across_batch, evaluate
from tasks.extraction import Extractor
from tasks.vocabulary import check_pca_vocabulary, fit_vocabularies, save_vocabulary, use_vocabulary

BACKBONE = "timm:test_vit"


@pytest.fixture
def test_set(city: Path) -> TestSet:
    return read_test_set(TestFolders("x", city / "test/database", city / "test/queries"))


def make(aggregation: str = "vlad", **options: int | bool) -> GeoLocalizationNet:
    torch.manual_seed(0)
    options = options or ({"clusters": 3} if aggregation == "vlad" else {})
    return GeoLocalizationNet(BACKBONE, 0, aggregation, options).eval()


def test_a_vocabulary_is_fitted_to_each_database_and_results_say_so(test_set: TestSet, tmp_path: Path):
    network, file = make(), tmp_path / "vocabulary.pt"
    random = network.aggregation.centroids.clone()
    extractor = Extractor(Accelerator(cpu=True))
    record = fit_vocabularies(network, test_set.database, extractor, "fp32")
    count = len(test_set.database)
    folder = str(test_set.database.folder)
    assert record == {"fitted_to": f"{count} of the {count} database images", "folder": folder}
    fitted = network.aggregation.centroids.clone()
    assert not network.aggregation.given and not torch.equal(fitted, random)
    source = ImageFiles(test_set.database)
    images = torch.stack([source.read(row) for row in range(count)])
    other = make()
    with torch.inference_mode():
        other.aggregation.initialise([other.features(images)])
    assert torch.allclose(other.aggregation.centroids, fitted, atol=1e-5)
    network.aggregation.centroids.copy_(random)
    found = evaluate(network, test_set, Accelerator(cpu=True), vocabulary_file=file).results
    assert found["vocabulary"] == record and torch.allclose(network.aggregation.centroids, fitted, atol=1e-6)
    assert torch.equal(read_vocabulary(file), network.aggregation.centroids)


def test_a_given_vocabulary_stays(test_set: TestSet, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    network, centres = make(), torch.rand(3, 64)
    np.save(tmp_path / "v.npy", centres.numpy())
    use_vocabulary(Ensemble([network, make("gem")]), str(tmp_path / "v.npy"))
    assert "Vocabulary of 3 centres from" in caplog.text
    assert fit_vocabularies(network, test_set.database, Extractor(Accelerator(cpu=True)), "fp32") is None
    assert torch.equal(network.aggregation.centroids, centres)
    save_vocabulary(network, tmp_path / "none.pt")
    assert not (tmp_path / "none.pt").exists()
    assert "vocabulary" not in evaluate(network, test_set, Accelerator(cpu=True)).results


def test_what_does_not_fit_is_refused(tmp_path: Path):
    torch.save(torch.rand(3, 5), tmp_path / "v.pt")
    with pytest.raises(ArgumentError, match="`vocabulary`: it has 3 centres of 5 channels, but the network needs 3 "):
        use_vocabulary(make(), str(tmp_path / "v.pt"))
    for network in (make("gem"), Ensemble([make(), make()])):
        with pytest.raises(ArgumentError, match="`vocabulary`: it is for one network with `aggregation` vlad"):
            use_vocabulary(network, str(tmp_path / "v.pt"))
    for content in ({"a": torch.rand(3, 5)}, torch.rand(3), torch.full((3, 5), torch.nan)):
        torch.save(content, tmp_path / "v.pt")
        with pytest.raises(PlacewiseError, match="v.pt: (contains|its centres contain NaN)"):
            read_vocabulary(tmp_path / "v.pt")
    (tmp_path / "v.pt").write_bytes(b"no tensor")
    with pytest.raises(PlacewiseError, match="v.pt: not a readable vocabulary"):
        read_vocabulary(tmp_path / "v.pt")
    with pytest.raises(ArgumentError, match="`pca_images`: needs `vocabulary`"):
        check_pca_vocabulary(make(), TestTimeSettings(pca_dim=2, pca_images="x"))
    check_pca_vocabulary(make("gem"), TestTimeSettings(pca_dim=2, pca_images="x"))


def test_networks_that_see_a_batch_at_once_carry_a_warning(test_set: TestSet, caplog: pytest.LogCaptureFixture):
    network = make("supervlad", clusters=2, cross_image=True)
    assert network.encodes_across_batch and not make("supervlad", clusters=2).encodes_across_batch
    found = evaluate(network, test_set, Accelerator(cpu=True), batch_size=4).results
    assert (found["encodes_across_batch"], found["batch_size"]) == (True, 4)
    assert "x: encodes_across_batch: true. A descriptor depends on the other images in its batch of 4" in caplog.text
    assert "(of this many images): x (4)" in results_text({"x": json.loads(json.dumps(found))})
    caplog.clear()
    assert "encodes_across_batch" not in evaluate(make(), test_set, Accelerator(cpu=True)).results
    assert "encodes_across_batch" not in caplog.text
    assert across_batch(Ensemble([make(), network]), 8) == {"encodes_across_batch": True, "batch_size": 8}
