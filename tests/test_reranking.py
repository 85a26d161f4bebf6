"""Re-ranking, adaptive re-ranking and confidence with eval.py as a user runs it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.layouts import slug
from reports.predictions_table import load_predictions_table
from tests.conftest import EAST, NORTH, sf_name
from tests.helpers import assert_mistakes, call, in_processes
from tests.matchers.pictures import scene, view

NETWORK = ["--backbone", "MobileNet_V3_Small", "--pretrained", "none", "--fc_output_dim", 16]
COMMON = ["--device", "cpu", "--precision", "fp32", "--num_workers", 0, *NETWORK]


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Validation and test of eight places, whose queries are other views; one photo is as small as a stamp."""
    folder = tmp_path_factory.mktemp("streets")
    for start, part in ((0, "val"), (100, "test")):
        for kind in ("database", "queries"):
            (folder / part / kind).mkdir(parents=True)
        for place in range(8):
            east, image = EAST + 50 * place, scene(start + place, 128)
            Image.fromarray(image).save(folder / part / "database" / sf_name(east, NORTH, extension=".png"))
            moved = view(image, 6) if place else image[:12, :12]
            Image.fromarray(moved).save(folder / part / "queries" / sf_name(east + 4, NORTH, extension=".png"))
    return folder


def measured(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


@pytest.mark.slow
def test_reranking_finds_what_a_random_network_does_not(streets: Path, tmp_path: Path):
    flags = [*COMMON, "--dataset_folder", streets, "--image_size", 64, "--rerank", "sift", "--rerank_top", 8]
    code, output = call(
        "eval.py",
        *flags,
        "--num_preds_to_save",
        2,
        "--keypoints_folder",
        tmp_path / "kp",
        "--output_folder",
        tmp_path / "a",
    )
    assert code == 0, output
    name = f"{streets.name}/test"
    results = measured(tmp_path / "a")[name]
    plain, reranked = results["test_time"]
    assert reranked["step"] == "+ re-ranking of the first 8 by sift"
    assert plain["R@1"] < 80 and results["R@1"] == reranked["R@1"] >= 87.5
    assert reranked["ceiling"] == 100 and reranked["ceiling_of"] == 8
    assert reranked["R@10"] == plain["R@10"] and reranked["gain R@1"] == reranked["R@1"] - plain["R@1"]
    assert reranked["seconds_a_query"] > 0 and "s a query" in output
    assert results["reranking"] == {"matcher": "sift", "top": 8}
    folder = tmp_path / "a" / slug(name)
    rows = load_predictions_table(folder / "predictions.parquet")[0].to_pylist()
    assert all(row["inliers"] == sorted(row["inliers"], reverse=True) for row in rows)
    assert rows[0]["inliers"] == [0] * 8  # the stamp matches nothing, and nothing fails
    assert len(list((folder / "preds").glob("*_inliers.jpg"))) == 8
    records = json.loads((folder / "preds" / "predictions.json").read_text())
    assert [match["inliers"] for match in records[3]["matches"]] == rows[3]["inliers"][:2]
    # The validation set calibrates the probabilities of the test set.
    assert all(0 < row["probability"] < 1 for row in rows)
    validation = load_predictions_table(tmp_path / "a" / slug(f"{streets.name}/val") / "predictions.parquet")[0]
    assert validation["probability"].null_count == 8
    assert set(results["confidence"]) == {
        "L2", "PA-score", "SUE", "margin", "inliers", "probability", "random"
    }  # fmt: skip
    assert (folder / "confidence.png").is_file() and "AUC-PR" in (tmp_path / "a" / "results.md").read_text()
    assert not (tmp_path / "a" / "keypoints").exists()
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "kp").rglob("*.npz")}
    assert len(files) == 32

    code, output = call(
        "eval.py", *flags, "--keypoints_folder", tmp_path / "kp", "--output_folder", tmp_path / "b", "--index", "hnsw"
    )
    assert code == 0, output
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "kp").rglob("*.npz")} == files
    assert measured(tmp_path / "b")[name]["R@1"] == results["R@1"]


@pytest.mark.slow
def test_the_validation_set_decides_which_queries_are_skipped(streets: Path, tmp_path: Path):
    flags = [*COMMON, "--image_size", 64, "--rerank", "orb", "--keypoints_folder", tmp_path / "kp"]
    sets = ["--test_set_folder", streets / "test", "--val_set_folder", streets / "val"]
    code, output = call("eval.py", *flags, *sets, "--rerank_when", "auto", "--output_folder", tmp_path / "a")
    assert code == 0, output
    names = list(measured(tmp_path / "a"))
    assert names == [f"{streets.name}/val", f"{streets.name}/test"]
    validation, test = measured(tmp_path / "a").values()
    always, adaptive = (step["step"] for step in validation["test_time"][1:])
    assert always == "+ re-ranking of the first 8 by orb, all queries"
    skipped = f"re-ranking of the first 8 by orb, {validation['reranking']['skipped_share']:.0f} % skipped"
    assert adaptive == f"or {skipped}"
    plain, *both = validation["test_time"]
    assert [step["gain R@1"] for step in both] == [step["R@1"] - plain["R@1"] for step in both]
    assert 'The row that begins with "or" is instead of the row above' in output
    assert validation["test_time"][2]["R@1"] >= validation["test_time"][1]["R@1"]
    assert test["test_time"][1]["step"].startswith("+ re-ranking of the first 8 by orb, ")
    assert test["reranking"]["curve"][0] == [100, test["test_time"][0]["R@1"]]
    assert (tmp_path / "a" / "reranking.png").is_file()

    gate = tmp_path / "a" / "reranking.json"
    only = ["--test_set_folder", streets / "test", "--rerank_when", gate, "--output_folder", tmp_path / "b"]
    code, output = call("eval.py", *flags, *only)
    assert code == 0, output
    (again,) = measured(tmp_path / "b").values()
    assert again["reranking"] == test["reranking"] and again["R@1"] == test["R@1"]


def test_mistakes_end_in_one_line(streets: Path, city: Path, tmp_path: Path):
    flags = [*COMMON, "--image_size", 64, "--output_folder", tmp_path / "run"]
    test = ["--test_set_folder", streets / "test"]
    (tmp_path / "gate.json").write_text("{}")
    assert_mistakes(
        "eval.py",
        [
            (
                [*flags, *test, "--rerank", "sift", "--rerank_when", "auto"],
                2,
                "--rerank_when: auto needs a validation set",
            ),
            (
                [*flags, *test, "--rerank", "sift", "--rerank_when", tmp_path / "gate.json"],
                2,
                "is not the reranking.json of a run with --rerank_when auto",
            ),
        ],
    )


@pytest.mark.slow
def test_two_processes_find_the_same(streets: Path, tmp_path: Path):
    flags = [*COMMON, "--test_set_folder", streets / "test", "--image_size", 64, "--rerank", "sift"]
    code, output = in_processes(2, "eval.py", *flags, "--output_folder", tmp_path / "two")
    assert code == 0, output
    code, output = call("eval.py", *flags, "--output_folder", tmp_path / "one")
    assert code == 0, output
    (two,), (one,) = (measured(tmp_path / name).values() for name in ("two", "one"))
    assert two["R@1"] == one["R@1"]
    tables = [load_predictions_table(tmp_path / name / "predictions.parquet")[0] for name in ("two", "one")]
    assert tables[0]["inliers"].to_pylist() == tables[1]["inliers"].to_pylist()
    assert len(list((tmp_path / "one" / "keypoints").rglob("*.npz"))) == 16


def test_without_labels(streets: Path, tmp_path: Path):
    flags = [*COMMON, "--test_set_folder", streets / "test", "--image_size", 64, "--rerank", "orb", "--no_labels"]
    code, output = call("eval.py", *flags, "--num_preds_to_save", 1, "--output_folder", tmp_path)
    assert code == 0, output
    (results,) = measured(tmp_path).values()
    counts = {"database", "queries", "skipped_database", "skipped_queries"}
    assert set(results) == counts | {"layout", "test_time", "reranking"}
    assert results["test_time"][1]["ceiling"] is None
    rows = load_predictions_table(tmp_path / "predictions.parquet")[0].to_pylist()
    assert np.isfinite(rows[1]["inliers"]).all()
