"""python -m tools.soup on a tiny data set."""

from pathlib import Path

import pytest
import torch

from commons.checkpoints import load_checkpoint, save_checkpoint
from commons.errors import PlacewiseError
from model.network import GeoLocalizationNet
from tasks.place_recognition import PlaceRecognition
from tests.helpers import assert_mistakes, call
from tools.soup import load_members


def save(path: Path, fill: float, **config: object) -> Path:
    config = {"backbone": "timm:test_resnet", "fc_output_dim": 8, "image_size": 48, "resize_test_imgs": True} | config
    network = GeoLocalizationNet(config["backbone"], config["fc_output_dim"])
    with torch.no_grad():
        network.aggregation.fc.bias.fill_(fill)
    save_checkpoint({"network": network.state_dict(), "config": config}, path)
    return path


def test_other_networks_are_refused_with_what_differs(tmp_path: Path):
    one, other = save(tmp_path / "a.pth", 0), save(tmp_path / "b.pth", 0, fc_output_dim=4)
    with pytest.raises(PlacewiseError, match=r"a.pth and .*b.pth are different .* fc_output_dim 8 and 4"):
        list(load_members(PlaceRecognition, [one, other]))
    for order in ([one, cut := save(tmp_path / "c.pth", 0, cut_after="layer4")], [cut, one]):
        with pytest.raises(PlacewiseError, match="different .* cut_after"):
            list(load_members(PlaceRecognition, order))


def test_the_command(city: Path, tmp_path: Path):
    paths = [save(tmp_path / f"{fill}.pth", fill) for fill in (1, 3)]
    flags = ["--dataset_folder", city, "--device", "cpu", "--num_workers", 0, "--output", tmp_path / "soup.pth"]
    code, output = call("tools.soup", *paths, "--method", "greedy", *flags)
    assert code == 0, output
    soup = load_checkpoint(tmp_path / "soup.pth")
    assert sorted(soup["results"]) == sorted(map(str, [*paths, tmp_path / "soup.pth"]))
    assert soup["soup"]["method"] == "greedy" and set(soup["soup"]["members"]) <= set(map(str, paths))
    assert "R@1" in output and soup["config"]["backbone"] == "timm:test_resnet"
    code, output = call("tools.soup", *paths, "--output", tmp_path / "soup.pth")
    assert code == 0, output
    assert load_checkpoint(tmp_path / "soup.pth")["network"]["aggregation.3.bias"].tolist() == [2] * 8


def test_mistakes_end_in_one_line(tmp_path: Path):
    path, folder = save(tmp_path / "a.pth", 0), tmp_path / "folder.pth"
    folder.mkdir()
    mistakes = [
        ([path], 2, "two or more"),
        ([path, tmp_path / "none.pth"], 2, "none.pth"),
        ([path, path, "--method", "greedy"], 2, "--dataset_folder or --val_set_folder"),
        ([path, path, "--output", path], 2, "overwrite a member"),
        ([path, save(tmp_path / "b.pth", 0, backbone="timm:test_vit")], 1, "different networks"),
        ([path, path, "--val_set_folder", tmp_path], 2, "database"),
        ([path, path, "--output", tmp_path / "soup.safetensors"], 2, "must end in .pth"),
        ([path, path, "--output", folder], 2, "is a folder"),
        ([path, path, "--output", path / "soup.pth"], 1, "a.pth cannot be written"),
    ]
    assert_mistakes("tools.soup", mistakes)
