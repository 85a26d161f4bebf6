"""eval.py as a user runs it, and its parts in this process."""

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from commons.checkpoints import save_checkpoint
from datasets.layouts import TestFolders, slug
from datasets.test_dataset import read_test_set
from model.network import GeoLocalizationNet
from reports.predictions_table import load_predictions_table
from reports.run_folders import read_run
from retrieval.pca import fit_pca
from retrieval.table import DescriptorTable
from tasks.evaluation import evaluate
from tasks.predictions import query_results
from tests.conftest import EAST, NORTH, sf_name, write_picture
from tests.helpers import assert_mistakes, call
from tests.retrieval.test_index import filled, unit
from tools.compare import known_settings

pytestmark = pytest.mark.slow

COMMON = ["--device", "cpu", "--precision", "fp32", "--num_workers", 0]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a random network that takes images at 48 pixels."""
    torch.manual_seed(0)
    network = GeoLocalizationNet("MobileNet_V3_Small", 16)
    config = {"backbone": "MobileNet_V3_Small", "fc_output_dim": 16, "image_size": 48, "resize_test_imgs": True}
    path = tmp_path_factory.mktemp("model") / "best_model.pth"
    save_checkpoint({"network": network.state_dict(), "config": config}, path)
    return path


def other_model(folder: Path, name: str = "other.pth", **config: object) -> Path:
    """A checkpoint of another random network, with more dimensions."""
    torch.manual_seed(1)
    network = GeoLocalizationNet("MobileNet_V3_Small", 20)
    config = {
        "backbone": "MobileNet_V3_Small",
        "fc_output_dim": 20,
        "image_size": 48,
        "resize_test_imgs": True,
    } | config
    save_checkpoint({"network": network.state_dict(), "config": config}, folder / name)
    return folder / name


def plain_recall(database: np.ndarray, queries: np.ndarray, near: np.ndarray, n: int) -> float:
    """Recall as the reference computes it, query by query."""
    hits = 0
    for query, positives in zip(queries, near, strict=True):
        best = np.argsort(-database @ query)[:n]
        hits += bool(set(best) & set(np.flatnonzero(positives)))
    return 100 * hits / len(queries)


def test_several_sets_in_one_table(city: Path, model: Path, tmp_path: Path):
    flags = ["--resume_model", model, "--dataset_folder", city, "--output_folder", tmp_path]
    code, output = call("eval.py", *COMMON, *flags, "--save_descriptors", "--num_preds_to_save", 2)
    assert code == 0, output
    results = json.loads((tmp_path / "results.json").read_text())
    assert list(results) == [f"{city.name}/val", f"{city.name}/test"]
    assert "shorter side 48" in output
    assert (tmp_path / "results.md").read_text().count(f"| {city.name}") == 2
    folder = tmp_path / slug(f"{city.name}/test")
    database, queries = (np.load(folder / f"{part}_descriptors.npy") for part in ("database", "queries"))
    assert database.dtype == np.float32 and database.shape == (6, 16)
    paths = (folder / "database_paths.txt").read_text().splitlines()
    assert [Path(path).name for path in paths] == sorted(p.name for p in (city / "test/database").iterdir())
    near = np.eye(6, dtype=bool)  # query i lies 5 m from database image i, the next are 50 m away
    for n in (1, 5):
        assert results[f"{city.name}/test"][f"R@{n}"] == pytest.approx(plain_recall(database, queries, near, n))
    assert (folder / "preds" / "index.html").is_file()
    assert len(list((folder / "preds").glob("*.jpg"))) == 6
    table, about = load_predictions_table(folder / "predictions.parquet")
    assert (about["test_set"], about["threshold"]) == (f"{city.name}/test", 25.0)
    rows = table.to_pylist()
    best = database @ queries.T
    for query, row in enumerate(rows):
        order = np.argsort(-best[:, query])
        assert row["predictions"] == [Path(paths[found]).name for found in order]
        assert row["similarities"] == pytest.approx(best[order, query], abs=1e-5)
        assert row["first_right"] == order.tolist().index(query) + 1
        assert row["margin"] == pytest.approx(best[order[0], query] - best[order[1], query], abs=1e-5)
        assert (row["nearest"], row["nearest_turn"]) == (Path(paths[query]).name, 2)
        assert row["nearest_distance"] == pytest.approx(5)
    record = json.loads((tmp_path / "run.json").read_text())
    assert (record["kind"], record["config"]["image_size"], record["network"]["gflops_image_size"]) == (
        "evaluation",
        48,
        48,
    )
    assert record["images_per_second"].keys() == results.keys()
    assert read_run(tmp_path, known_settings()).settings == {
        "backbone": "MobileNet_V3_Small", "fc_output_dim": 16, "image_size": 48, "resize_test_imgs": True,
        "precision (eval.py)": "fp32", "weights": "best_model.pth", "task": "place_recognition",
    }  # fmt: skip


def test_all_that_can_be_done_at_test_time(city: Path, model: Path, tmp_path: Path):
    """An ensemble, all steps, two sets: the table, its files, and the same descriptors with the PCA that was saved."""
    flags = ["--resume_model", model, other_model(tmp_path), "--image_size", 64, "--multi_scale", "0.75,1"]
    flags += ["--five_crops", "0.75", "--whiten", "half", "--database_augmentation", 2, "--query_expansion", 2]
    flags += ["--save_descriptors", "--num_preds_to_save", 1, "--dataset_folder", city]
    code, output = call("eval.py", *COMMON, *flags, "--pca_dim", 4, "--output_folder", tmp_path / "run")
    assert code == 0, output
    assert "Descriptors are also extracted without --multi_scale and --five_crops" in output
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    for name in (f"{city.name}/val", f"{city.name}/test"):
        steps = results[name]["test_time"]
        assert [step["step"] for step in steps] == [
            "model 1 alone", "model 2 alone", "ensemble of 2", "+ multi-scale 0.75,1", "+ five crops of queries",
            "+ PCA 4, half whitening", "+ database augmentation 2", "+ query expansion 2",
        ]  # fmt: skip
        assert [step["bytes_a_descriptor"] for step in steps] == [64, 80, 144, 144, 144, 16, 16, 16]
        assert steps[-1]["R@1"] == results[name]["R@1"]
        assert (
            f"{name}, step by step" in output and f"{name}, step by step" in (tmp_path / "run/results.md").read_text()
        )
        assert (tmp_path / "run" / slug(name) / "preds" / "index.html").is_file()
    file = tmp_path / "run" / slug(f"{city.name}/test") / "pca.pth"
    fitted = np.load(file.parent / "queries_descriptors.npy")
    assert fitted.shape == (6, 4)
    flags[-1] = city / "test"
    code, output = call("eval.py", *COMMON, *flags, "--pca_file", file, "--output_folder", tmp_path / "again")
    assert code == 0, output
    assert np.array_equal(np.load(tmp_path / "again" / "queries_descriptors.npy"), fitted)
    assert not (tmp_path / "again" / "pca.pth").exists()


def test_a_pca_of_other_images(city: Path, model: Path, tmp_path: Path):
    flags = ["--resume_model", model, "--pca_dim", 8, "--pca_images", city / "train", "--no_labels"]
    flags += ["--test_set_folder", city / "test", "--output_folder", tmp_path]
    code, output = call("eval.py", *COMMON, *flags, "--index", "hnsw")
    assert code == 0, output
    assert re.search(r"A PCA of 32 images keeps \d+\.\d% of the variance in 8 of 16 dimensions: .*pca.pth", output)
    assert (tmp_path / "pca.pth").is_file()
    (results,) = json.loads((tmp_path / "results.json").read_text()).values()
    plain, reduced = results["test_time"]
    assert "R@1" not in plain and (plain["table_bytes"], reduced["table_bytes"]) == (6 * 32, 6 * 16)


def test_nothing_at_test_time_leaves_no_table(city: Path, tmp_path: Path):
    found = in_process(city / "test", pca_file=tmp_path / "pca.pth")
    assert "test_time" not in found.results
    assert list(tmp_path.iterdir()) == []


def test_without_a_model_the_pretrained_backbone_is_measured(city: Path, tmp_path: Path):
    flags = ["--test_set_folder", city / "test", "--backbone", "EfficientNet_Lite0", "--output_folder", tmp_path]
    code, output = call("eval.py", *COMMON, *flags)
    assert code == 0, output
    assert "No --resume_model: evaluating the pretrained EfficientNet_Lite0" in output
    (results,) = json.loads((tmp_path / "results.json").read_text()).values()
    assert results["R@1"] > 80  # places of distinct colours


def test_published_network_from_a_file(city: Path, tmp_path: Path):
    torch.save(GeoLocalizationNet("ResNet18", 32).state_dict(), tmp_path / "given.pth")
    model = ["--pretrained_model", "cosplace-resnet18-32", "--pretrained_model_file", tmp_path / "given.pth"]
    flags = ["--test_set_folder", city / "test", "--output_folder", tmp_path / "run", "--image_size", 64, 96]
    code, output = call("eval.py", *COMMON, *model, *flags)
    assert code == 0, output
    assert f"Network: cosplace-resnet18-32, 32 dimensions, from {tmp_path / 'given.pth'}" in output
    assert "height 64 and width 96" in output


def test_reference_state_dict(city: Path, tmp_path: Path):
    torch.save(GeoLocalizationNet("ResNet18", 8).state_dict(), tmp_path / "ResNet18_8_cosplace.pth")
    flags = ["--resume_model", tmp_path / "ResNet18_8_cosplace.pth", "--test_set_folder", city / "test"]
    code, output = call("eval.py", *COMMON, *flags, "--output_folder", tmp_path / "run")
    assert code == 0, output
    assert "ResNet18, 8 dimensions" in output


def test_no_labels(model: Path, tmp_path: Path):
    for part in ("database", "queries"):
        write_picture(tmp_path / "mine" / part / f"holiday {part}.JPG", 1, np.random.default_rng(0))
    flags = ["--resume_model", model, "--dataset_folder", tmp_path / "mine", "--no_labels", "--num_preds_to_save", 1]
    code, output = call("eval.py", *COMMON, *flags, "--output_folder", tmp_path / "run")
    assert code == 0, output
    found = {"database": 1, "queries": 1, "skipped_database": 0, "skipped_queries": 0, "layout": "folders"}
    assert json.loads((tmp_path / "run" / "results.json").read_text()) == {"mine": found}
    (prediction,) = json.loads((tmp_path / "run" / "preds" / "predictions.json").read_text())
    assert prediction["correct"] is None
    code, output = call("eval.py", *COMMON, *flags[:4], "--output_folder", tmp_path / "run2")
    assert code == 1
    assert "no position" in output.strip().splitlines()[-1]


def network() -> GeoLocalizationNet:
    torch.manual_seed(0)
    return GeoLocalizationNet("MobileNet_V3_Small", 16)


def in_process(folder: Path, **options):
    test_set = read_test_set(TestFolders("x", folder / "database", folder / "queries"))
    return evaluate(network(), test_set, Accelerator(cpu=True), batch_size=3, **options)


def test_queries_without_positives_and_mixed_sizes(tmp_path: Path):
    draw = np.random.default_rng(0)
    sizes = [(64, 64), (80, 48), (48, 96), (64, 64)]
    for place in range(4):
        write_picture(tmp_path / "database" / sf_name(EAST + 100 * place, NORTH, 90), place, draw, sizes[place])
        write_picture(tmp_path / "queries" / sf_name(EAST + 100 * place + 30 * (place > 2), NORTH, 90), place, draw)
    found = in_process(tmp_path)
    assert found.results["queries_without_positives"] == 1
    assert found.results["R@100"] == 75
    assert found.results["answerable R@100"] == 100
    assert in_process(tmp_path, threshold=31.0).results["R@100"] == 100


def test_damaged_images_shift_nothing(own_city: Path):
    """Rows after a damaged image keep their own paths and positions."""
    folder = own_city / "test"
    draw = np.random.default_rng(0)
    for extra in range(200):
        write_picture(folder / "database" / sf_name(EAST - 1000 - extra, NORTH, 0), 50 + extra, draw, (32, 32))
    next(iter(sorted((folder / "database").iterdir()))).write_bytes(b"torn")
    found = in_process(folder)
    assert found.results["database"] == 205
    for query, result in enumerate(query_results(found, 3)):
        for match in result.matches:
            east = float(match.path.name.split("@")[1])
            assert match.distance == pytest.approx(abs(east - found.queries.utm_east[query]), abs=1e-6)


def test_nearest_positive_looks_the_same_way(tmp_path: Path):
    """Two database images stand equally near; the one with the query's heading is shown."""
    draw = np.random.default_rng(0)
    write_picture(tmp_path / "queries" / sf_name(EAST, NORTH, 350), 1, draw)
    for heading in (10, 100, 190):
        write_picture(tmp_path / "database" / sf_name(EAST + 10, NORTH, heading), 2, draw)
    shutil.copy(next((tmp_path / "queries").iterdir()), tmp_path / "database" / sf_name(EAST + 500, NORTH, 350))
    (result,) = query_results(in_process(tmp_path), 1)
    assert result.matches[0].correct is False
    assert result.matches[0].distance == 500
    assert result.matches[0].similarity == pytest.approx(1, abs=1e-3)
    assert result.nearest_positive.heading == 10
    assert result.nearest_positive.distance == 10


def test_byte_identical_images_at_two_places_count_by_their_names(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    draw = np.random.default_rng(0)
    right, wrong = (tmp_path / "database" / sf_name(EAST + shift, NORTH, 0) for shift in (500, 0))
    write_picture(right, 1, draw)
    for place in range(3):
        write_picture(tmp_path / "database" / sf_name(EAST + 1000 + place, NORTH, 0), 2 + place, draw)
    shutil.copy(right, wrong)
    (tmp_path / "queries").mkdir()
    shutil.copy(right, tmp_path / "queries" / right.name)
    found = in_process(tmp_path)
    assert found.predictions[0, :2].tolist() == [0, 1]
    assert (found.results["R@1"], found.results["R@5"], found.results["queries_decided_by_ties"]) == (0, 100, 1)
    (warning,) = caplog.messages
    assert "1 of 1 queries" in warning
    wrong.unlink()
    assert in_process(tmp_path).results["queries_decided_by_ties"] == 0
    assert len(caplog.messages) == 1


def test_an_approximate_index_leaves_no_file(city: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    exact = in_process(city / "test")
    found = in_process(city / "test", index="hnsw", scratch_folder=tmp_path)
    assert np.array_equal(found.predictions, exact.predictions)
    assert np.allclose(found.similarities, exact.similarities, atol=1e-3)
    assert list(tmp_path.iterdir()) == []

    def killed(table: DescriptorTable, *others: object) -> None:
        assert table.vectors.dtype == np.float16
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.measuring.search", killed)
    with pytest.raises(KeyboardInterrupt):
        in_process(city / "test", index="hnsw", scratch_folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_mistakes_end_in_one_line(city: Path, model: Path, tmp_path: Path):
    text = tmp_path / "text"
    text.write_text("no checkpoint")
    (tmp_path / "empty").mkdir()
    mistakes = [
        (["--dataset_folder", "/nowhere"], 2, "/nowhere"),
        (["--dataset_folder", city, "--resume_model", text], 1, "not a readable PyTorch checkpoint"),
        (["--dataset_folder", city, "--output_folder", text / "run"], 1, "--output_folder"),
        (["--dataset_folder", city, city], 2, "two sets are named"),
        (["--dataset_folder", city, "--index", "ivfpq"], 2, "use flat"),
    ]
    other, whole = other_model(tmp_path), other_model(tmp_path, "whole.pth", resize_test_imgs=False)
    broken = torch.load(other, weights_only=True)
    broken["network"]["aggregation.3.bias"].fill_(math.nan)
    torch.save(broken, tmp_path / "nan.pth")
    pca = fit_pca(filled(unit(np.random.default_rng(0), 9)), 3)
    pca.save(tmp_path / "pca.pth")
    at_test_time = [
        (["--resume_model", tmp_path / "nan.pth"], 1, "descriptors contain NaN or inf"),
        (["--resume_model", model, whole], 2, "whole.pth unchanged); set one size with --image_size"),
        (["--resume_model", other, "--pca_dim", 30], 2, "--pca_dim: 30 is too many: the descriptors have 20"),
        (["--resume_model", other, "--pca_dim", 7], 2, "--pca_dim: 7 is too many: a PCA of 6 images"),
        (
            ["--resume_model", other, "--pca_dim", 6, "--pca_images", city / "test/database"],
            2,
            "6 images",
        ),
        (["--resume_model", other, "--pca_file", tmp_path / "pca.pth"], 2, "with 8 dimensions, these have 20"),
        (["--resume_model", other, "--pca_file", other], 1, "contains no PCA"),
        (["--resume_model", other, "--adapt_batch_norm", tmp_path / "empty"], 1, "contains no image"),
        (["--resume_model", other, "--query_expansion", 7], 2, "--query_expansion: 7 is more than the 6 neighbours"),
        (["--resume_model", other, "--database_augmentation", 6], 2, "--database_augmentation: 6 is more than the 5"),
        (["--resume_model", other, "--multi_scale", "0.5,1"], 2, "--multi_scale: 0.5 reduces"),
        (["--resume_model", other, "--five_crops", "0.5"], 2, "--five_crops: 0.5 reduces"),
    ]
    mistakes += [([*flags, "--test_set_folder", city / "test"], code, words) for flags, code, words in at_test_time]
    mistakes = [
        ([*COMMON, "--output_folder", tmp_path / f"run{number}", *flags], code, words)
        for number, (flags, code, words) in enumerate(mistakes)
    ]
    assert_mistakes("eval.py", mistakes)
    assert len(list(tmp_path.glob("run*"))) == 1  # where the descriptors were no numbers


def test_real_streets(tmp_path: Path):
    """ImageNet features on real pictures of Cambridge find the place as often as an independent measurement did."""
    folder = Path(__file__).parents[2] / "shared/data/cambridge/val"
    if not folder.is_dir():
        pytest.skip("the real images are not here")
    flags = ["--test_set_folder", folder, "--backbone", "EfficientNet_Lite0", "--output_folder", tmp_path]
    code, output = call("eval.py", "--device", "cpu", *flags)
    assert code == 0, output
    (results,) = json.loads((tmp_path / "results.json").read_text()).values()
    assert results["R@1"] == pytest.approx(75.0, abs=1.5)
    assert results["R@5"] == pytest.approx(87.8, abs=1.5)
    assert re.search(r"912 database images, 304 queries", output)


def test_images_that_cannot_be_decoded_are_counted(own_city: Path, model: Path, tmp_path: Path):
    query = sorted((own_city / "test" / "queries").iterdir())[0]
    query.write_bytes(query.read_bytes()[: query.stat().st_size // 2])
    flags = ["--resume_model", model, "--test_set_folder", own_city / "test", "--output_folder", tmp_path / "run"]
    code, output = call("eval.py", *COMMON, *flags)
    assert code == 0, output
    (results,) = json.loads((tmp_path / "run" / "results.json").read_text()).values()
    assert (results["queries"], results["skipped_queries"], results["skipped_database"]) == (5, 1, 0)
    note = "Skipped because they cannot be decoded: 1 of 6 queries (city/test)"
    assert note in output and note in (tmp_path / "run" / "results.md").read_text()
    assert results["positive_dist_threshold"] == 25
    assert results["rule"] == (
        "R@N: percentage of all queries with a database image within 25 m among their first N predictions, distances "
        "in metres: UTM, zone 10N"
    )


def test_a_photo_that_is_too_small_is_named_with_the_flag(own_city: Path, tmp_path: Path):
    photo = sorted((own_city / "test" / "queries").iterdir())[2]
    Image.fromarray(np.zeros((13, 30, 3), np.uint8)).save(photo)
    flags = ["--backbone", "VGG16", "--pretrained", "none", "--test_set_folder", own_city / "test"]
    code, output = call("eval.py", *COMMON, *flags, "--output_folder", tmp_path / "run")
    last = output.strip().splitlines()[-1]
    assert code == 1 and last.startswith("error: ") and "Traceback" not in output
    assert photo.name in last and "30x13 pixels" in last and "--resize_test_imgs" in last
