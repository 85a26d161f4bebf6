"""Every file of a network records the images that it was adapted to, and results are marked."""

from pathlib import Path

import pytest
import torch

from commons.checkpoints import save_checkpoint
from datasets.fingerprints import fingerprints
from datasets.layouts import TestFolders
from datasets.reading import read_images
from datasets.test_dataset import TestSet, read_test_set
from model.export import export_network
from model.exported import open_network
from model.formats import FORMATS
from model.network import GeoLocalizationNet
from model.pretrained import load_network
from tasks.adaptation import adaptation_records
from tests.helpers import call


@pytest.fixture(scope="module")
def sets(city: Path) -> list[TestSet]:
    return [
        read_test_set(TestFolders(part, city / part / "database", city / part / "queries")) for part in ("val", "test")
    ]


@pytest.fixture
def adapted(city: Path, tmp_path: Path) -> Path:
    """A network that was adapted to the test queries."""
    config = {"backbone": "timm:test_resnet", "fc_output_dim": 8, "image_size": 48}
    network = GeoLocalizationNet(config["backbone"], config["fc_output_dim"])
    targets = {"/photos": torch.from_numpy(fingerprints(read_images(city / "test" / "queries")))}
    save_checkpoint({"network": network.state_dict(), "config": config, "targets": targets}, tmp_path / "adapted.pth")
    return tmp_path / "adapted.pth"


def plain(path: Path, source: Path) -> Path:
    """The same network without the record."""
    network, config = load_network(source)
    config.pop("targets")
    save_checkpoint({"network": network.state_dict(), "config": config}, path)
    return path


def assert_recorded(file: Path, sets: list[TestSet]) -> None:
    records = adaptation_records(sets, open_network(file)[1]["targets"])
    assert records == {
        "val": {"transductive": False, "target_folders": ["/photos"]},
        "test": {"transductive": True, "target_folders": ["/photos"]},
    }


def test_records_of_test_sets(adapted: Path, sets: list[TestSet], caplog: pytest.LogCaptureFixture):
    assert_recorded(adapted, sets)
    (warning,) = caplog.messages
    assert "test: transductive: true. The network was adapted to 6 of its 6 queries (/photos)" in warning
    assert adaptation_records(sets, {}) == {}


@pytest.mark.parametrize("form", FORMATS)
def test_an_exported_network_keeps_the_record(form: str, adapted: Path, sets: list[TestSet], tmp_path: Path):
    file = tmp_path / f"x{FORMATS[form]}"
    export_network(*load_network(adapted), form, file)
    assert_recorded(file, sets)


def test_a_soup_of_an_adapted_network_is_an_adapted_one(adapted: Path, sets: list[TestSet], tmp_path: Path):
    members = plain(tmp_path / "plain.pth", adapted), adapted
    code, output = call("tools.soup", *members, "--output", tmp_path / "soup.pth")
    assert code == 0, output
    assert_recorded(tmp_path / "soup.pth", sets)
