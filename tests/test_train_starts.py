"""What train.py starts with: another run, a published network, the data."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from commons.checkpoints import save_checkpoint
from model.network import GeoLocalizationNet
from model.pretrained import load_network
from model.published import PUBLISHED
from parser import computed, parse_train_settings
from tasks.networks import build_network
from tests.helpers import TINY, call
from tests.training_runs import flags, weights

pytestmark = pytest.mark.slow


def test_start_from_a_model_and_from_pca(city: Path, finished: Path, tmp_path: Path):
    short = ["--epochs_num", 0, "--output_folder", tmp_path / "from_model", "--num_workers", 0, "--device", "cpu"]
    common = ["--dataset_folder", city, "--min_images_per_class", 2, "--groups_num", 1, "--batch_size", 4]
    code, output = call("train.py", *common, *short, "--resume_model", finished / "best_model.pth")
    assert code == 0, output
    before, after = weights(finished / "best_model.pth"), weights(tmp_path / "from_model" / "best_model.pth")
    assert all(torch.equal(before[key], after[key]) for key in before)
    code, output = call("train.py", *flags(city, tmp_path / "pca"), "--epochs_num", 0, "--fc_init", "pca")
    assert code == 0, output
    assert "PCA of the features of 32 images" in output


def test_start_from_a_published_network(city: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The run's checkpoints say all of it: backbone, head, and the mean of images that its weights want."""
    name = "cosplace-resnet18-32"
    entry = PUBLISHED[name]
    mean = {"mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 4.0]}
    monkeypatch.setitem(PUBLISHED, name, replace(entry, network={**entry.network, **mean}))
    source = GeoLocalizationNet("ResNet18", 32).state_dict()
    torch.save(source, tmp_path / "given.pth")
    given = ["--pretrained_model", name, "--pretrained_model_file", str(tmp_path / "given.pth")]
    settings = parse_train_settings(["--dataset_folder", "x", *given])
    _, config, _ = build_network(settings.network, Accelerator(cpu=True))
    config = computed(settings) | config
    save_checkpoint({"network": source, "config": config, "position": 0}, tmp_path / "last_checkpoint.pth")
    network, config = load_network(tmp_path / "last_checkpoint.pth")
    assert (config["backbone"], config["fc_output_dim"], config["aggregation"]) == ("ResNet18", 32, "gem")
    assert network.mean.flatten().tolist() == pytest.approx(mean["mean"])
    (tmp_path / "given.pth").unlink()
    settings = parse_train_settings(["--resume_train", str(tmp_path / "last_checkpoint.pth")])
    again, _, _ = build_network(settings.network, Accelerator(cpu=True), config)
    assert again.std.flatten().tolist() == [1, 2, 4]


def test_training_from_a_published_network(city: Path, tmp_path: Path):
    torch.save(GeoLocalizationNet("ResNet18", 32).state_dict(), tmp_path / "given.pth")
    given = ["--pretrained_model", "cosplace-resnet18-32", "--pretrained_model_file", tmp_path / "given.pth"]
    common = ["--dataset_folder", city, "--min_images_per_class", 2, "--groups_num", 1, "--batch_size", 4]
    short = ["--epochs_num", 0, "--output_folder", tmp_path / "run", "--num_workers", 0, "--device", "cpu"]
    code, output = call("train.py", *common, *short, *given, "--image_size", 64, "--iterations_per_epoch", 2)
    assert code == 0, output
    before, after = torch.load(tmp_path / "given.pth"), weights(tmp_path / "run" / "best_model.pth")
    assert all(torch.equal(before[key], after[key]) for key in before)
    code, output = call("train.py", "--resume_train", tmp_path / "run" / "last_checkpoint.pth", "--epochs_num", 1)
    assert code == 0, output
    after = weights(tmp_path / "run" / "best_model.pth")
    assert not torch.equal(before["aggregation.3.weight"], after["aggregation.3.weight"])


def test_netvlad_starts_from_the_data_resumes_and_starts_another_run(city: Path, tmp_path: Path):
    run = tmp_path / "run"
    head = ["--aggregation", "netvlad", "--aggregation_options", "clusters=3", "--iterations_per_epoch", 2]
    code, output = call("train.py", *flags(city, run), *head, "--epochs_num", 0)
    assert code == 0, output
    assert "The clusters are initialised by k-means of the local features of 32 images" in output
    code, output = call("train.py", "--resume_train", run / "last_checkpoint.pth", "--epochs_num", 1)
    assert code == 0, output
    assert "k-means" not in output
    network, config = load_network(run / "best_model.pth")
    assert (config["aggregation"], config["aggregation_options"]) == ("netvlad", {"clusters": 3})
    assert network.aggregation.centroids.shape[0] == 3
    settings = parse_train_settings(["--dataset_folder", "x", "--resume_model", str(run / "best_model.pth")])
    again, config, _ = build_network(settings.network, Accelerator(cpu=True))
    options = (config["aggregation"], config["aggregation_options"], config["fc_output_dim"])
    assert options == ("netvlad", {"clusters": 3}, 16)
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in again.state_dict().items())


def test_a_cut_network_is_trained_and_taken_over(city: Path, tmp_path: Path):
    schedule = ["--epochs_num", 1, "--iterations_per_epoch", 2]
    own = ["--cut_after", "features.4", "--freeze", "features.0,features.2"]
    code, output = call("train.py", *flags(city, tmp_path / "a"), *schedule, *own)
    assert code == 0, output
    assert "MobileNet_V3_Small cut after features.4" in output
    best = tmp_path / "a" / "best_model.pth"
    assert {key.split(".")[2] for key in weights(best) if key.startswith("backbone.")} == set("01234")
    other = ["--dataset_folder", city, "--output_folder", tmp_path / "b", *TINY[6:], *schedule]
    code, output = call("train.py", *other, "--resume_model", best, "--freeze", "features.3")
    assert code == 0, output
    before, after = weights(best), weights(tmp_path / "b" / "best_model.pth")
    changed = {
        key.split(".")[2] for key in before if key.endswith("weight") and not torch.equal(before[key], after[key])
    }
    assert {"0", "1", "2", "4"} <= changed and "3" not in changed
