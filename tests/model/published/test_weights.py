"""Names, downloads and files of published weights."""

import urllib.error
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import hubconf
from commons.errors import ArgumentError, PlacewiseError
from model.network import GeoLocalizationNet
from model.published import FAMILIES, PUBLISHED
from model.published.weights import check_published, fetch, find_published, load_published, read_state

SMALL = "cosplace-resnet18-32"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    return tmp_path / "checkpoints"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return GeoLocalizationNet("ResNet18", 32).state_dict()


def test_every_method_of_the_issue_by_its_own_name():
    mains = {
        "cosplace": "cosplace-resnet50-2048",
        "eigenplaces": "eigenplaces-resnet50-2048",
        "mixvpr": "mixvpr-resnet50-4096",
        "convap": "convap-resnet50-4096",
        "salad": "salad-dinov2-8448",
        "boq": "boq-resnet50-16384",
        "megaloc": "megaloc-dinov2-8448",
        "netvlad": "netvlad-pitts30k-4096",
        "eigenplaces-indoor": "eigenplaces-indoor-resnet50-2048",
        "salad-indoor": "salad-indoor-dinov2-8448",
        "clique-mining": "clique-mining-dinov2-8448",
        "anyloc": "anyloc-database-49152",
        "edtformer": "edtformer-dinov2-4096",
        "supervlad": "supervlad-dinov2-3072",
        "supervlad-crossim": "supervlad-crossim-dinov2-3072",
        "cricavpr": "cricavpr-dinov2-10752",
        "image": "image-merged-6144",
    }
    assert {method: find_published(method) for method in FAMILIES} == mains
    assert find_published("boq-dinov2") == "boq-dinov2-12288"
    assert find_published("CosPlace-ResNet18-512") == "cosplace-resnet18-512"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cosplaces", "did you mean cosplace.*choose from cosplace, eigenplaces, mixvpr"),
        ("mixvpr-resnet50-2048", "choose from mixvpr-resnet50-4096, mixvpr-resnet50-512, mixvpr-resnet50-128"),
        ("cosplace-resnet", "`pretrained_model`: cosplace-resnet is unknown"),
        ("", "unknown"),
    ],
)
def test_unknown_names(name: str, words: str):
    with pytest.raises(ArgumentError, match=words):
        find_published(name)


def test_download_goes_to_the_hub_cache_once(cache: Path, state: dict, monkeypatch: pytest.MonkeyPatch):
    fetched = []

    def download(address: str, path: str, progress: bool) -> None:
        fetched.append(address)
        torch.save(state, path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    for _ in range(2):
        network, config = load_published(SMALL)
    assert fetched == ["https://github.com/gmberton/CosPlace/releases/download/v1.0/ResNet18_32_cosplace.pth"]
    assert [path.name for path in cache.iterdir()] == ["ResNet18_32_cosplace.pth"]
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert config == {"backbone": "ResNet18", "fc_output_dim": 32, "aggregation": "gem", "aggregation_options": {}}


def test_offline_names_the_address_and_the_flag(cache: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: object, **options: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(PlacewiseError) as error:
        fetch("mixvpr-resnet50-512")
    for words in ("download?id=1khiTUNzZ", "file/d/1khiTUNzZ", "no network", "path as `pretrained_model_file`"):
        assert words in str(error.value)
    monkeypatch.undo()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(cache))
    with pytest.raises(PlacewiseError, match=r"only in a browser: .*resnet50_ConvAP_1024_2x2.ckpt from https://drive"):
        fetch("convap-resnet50-4096")


def test_a_web_page_instead_of_weights_is_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch):
    def download(address: str, path: str, progress: bool) -> None:
        Path(path).write_text("\n<!DOCTYPE html><html>Too many users have viewed this file</html>")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(PlacewiseError, match="a web page instead of weights.*`pretrained_model_file`"):
        fetch(SMALL)
    assert not list(cache.iterdir())


def test_files_that_do_not_fit_are_named(state: dict, tmp_path: Path):
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(PlacewiseError, match=r"w.pth: not the published weights of cosplace-resnet18-64, .*\(32,"):
        load_published("cosplace-resnet18-64", str(tmp_path / "w.pth"))
    torch.save({key: value for key, value in state.items() if key != "aggregation.1.p"}, tmp_path / "w.pth")
    with pytest.raises(PlacewiseError, match="it has no tensor for aggregation.1.p; .*github.com/gmberton/CosPlace"):
        load_published(SMALL, str(tmp_path / "w.pth"))
    torch.save(state | {"more": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(PlacewiseError, match="its tensor more belongs to no layer"):
        load_published(SMALL, str(tmp_path / "w.pth"))


def test_lightning_and_safetensors_files(state: dict, tmp_path: Path):
    entry = PUBLISHED[SMALL]
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "l.ckpt")
    save_file(state, tmp_path / "s.safetensors")
    for name in ("l.ckpt", "s.safetensors"):
        read = read_state(tmp_path / name, entry)
        assert read.keys() == state.keys() and torch.equal(read["backbone.0.weight"], state["backbone.0.weight"])
    with pytest.raises(PlacewiseError, match="nowhere.mat"):
        read_state(tmp_path / "nowhere.mat", PUBLISHED["netvlad-pitts30k-4096"])


def test_images_too_small_for_a_published_network():
    with pytest.raises(ArgumentError, match="too few for 64 clusters"):
        check_published("salad-dinov2-8448", 98)
    check_published("salad-dinov2-8448", 322)


def test_hub_entry_points(state: dict, cache: Path):
    cache.mkdir()
    torch.save(state, cache / "ResNet18_32_cosplace.pth")
    network = hubconf.cosplace("ResNet18", 32)
    assert not network.training
    with torch.no_grad():
        assert network(torch.rand(1, 3, 64, 64)).shape == (1, 32)
    with pytest.raises(ArgumentError, match="cosplace-ResNet18-1000"):
        hubconf.cosplace("ResNet18", 1000)
    with pytest.raises(ArgumentError, match="nothing"):
        hubconf.published("nothing")
