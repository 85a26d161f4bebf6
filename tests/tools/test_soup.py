"""Soups: the mean by hand, greedy choices with a stub for the recall, and the command on a tiny data set."""

from pathlib import Path

import pytest
import torch

from commons.checkpoints import load_checkpoint, save_checkpoint
from commons.errors import PlacewiseError
from model.network import GeoLocalizationNet
from tests.helpers import assert_mistakes, call
from tools.soup import load_members
from training.soup import greedy_soup, uniform_soup


def state(value: float, batches: int = 0) -> dict[str, torch.Tensor]:
    return {"w": torch.tensor([value, 2 * value], dtype=torch.float32), "num_batches_tracked": torch.tensor(batches)}


def test_uniform_soup_by_hand():
    soup = uniform_soup(iter([state(1, 7), state(2, 8), state(6, 9)]))
    assert soup["w"].tolist() == [3, 6]
    assert soup["w"].dtype == torch.float32
    assert soup["num_batches_tracked"] == 7


def test_the_sum_is_exact_where_float32_is_not():
    """2^24 + 1 is no float32: summed in float32 the ones would be lost."""
    states = [{"w": torch.tensor([value])} for value in (2.0**24, 1.0, 1.0, 2.0)]
    assert uniform_soup(iter(states))["w"].tolist() == [2**22 + 1]


def test_half_precision_stays_half_precision():
    states = [{"w": torch.tensor([value], dtype=torch.float16)} for value in (60000.0, 60000.0)]
    (mean,) = uniform_soup(iter(states)).values()
    assert (mean.dtype, mean.item()) == (torch.float16, 60000)


def test_greedy_takes_the_best_first_and_leaves_out_what_lowers_the_recall():
    """Recalls of the soups 5, (5 + 1) / 2 = 3, (5 + 3) / 2 = 4 and (5 + 3 + 4) / 3 = 4, told by their weight."""
    members = [state(1), state(5), state(3), state(4)]
    measured = []

    def measure(soup: dict[str, torch.Tensor]) -> float:
        measured.append(soup["w"][0].item())
        return {3.0: 79.0, 4.0: 80.0}[measured[-1]]

    soup, chosen = greedy_soup(lambda member: members[member], [70, 80, 60, 50], measure)
    assert measured == [3, 4, 4]
    assert chosen == [1, 2, 3]
    assert soup["w"].tolist() == [4, 8]


def test_greedy_compares_with_the_best_soup_so_far():
    """After a soup of 90, one of 85 is worse, though it beats every member."""
    members = [state(0), state(2), state(4)]
    soup, chosen = greedy_soup(lambda member: members[member], [80, 70, 60], lambda s: {1: 90, 2: 85}[s["w"][0].item()])
    assert chosen == [0, 1]
    assert soup["w"].tolist() == [1, 2]


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
        list(load_members([one, other]))
    for order in ([one, cut := save(tmp_path / "c.pth", 0, cut_after="layer4")], [cut, one]):
        with pytest.raises(PlacewiseError, match="different .* cut_after"):
            list(load_members(order))


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
