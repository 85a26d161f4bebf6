"""Sequences with eval.py as a user runs it."""

import json
from pathlib import Path

import numpy as np
import pytest

from reports.predictions_table import load_predictions_table
from tests.conftest import EAST, NORTH, sf_name, write_picture
from tests.helpers import assert_mistakes, call, in_processes

NETWORK = ["--backbone", "MobileNet_V3_Small", "--pretrained", "none", "--fc_output_dim", 16]
COMMON = ["--device", "cpu", "--precision", "fp32", "--num_workers", 0, *NETWORK]


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drives along one street; a frame of the queries is missing."""
    folder, draw = tmp_path_factory.mktemp("drives"), np.random.default_rng(0)
    for part, shift in (("database/day", 0), ("queries/night", 2)):
        for frame in range(12):
            if part.startswith("database") or frame != 5:
                name = sf_name(EAST + 10 * frame + shift, NORTH, note=f"x_{frame:03d}")
                write_picture(folder / part / name, frame % 5, draw)
    return folder


@pytest.mark.slow
def test_a_run_from_start_to_end(drives: Path, tmp_path: Path):
    flags = [*COMMON, "--test_set_folder", drives, "--sequence_length", 3, "--positive_dist_threshold", 5]
    seqmatch = ["--sequence_method", "seqmatch", "--sequence_velocity", 0.5, 2, "--num_preds_to_save", 2]
    code, output = call("eval.py", *flags, *seqmatch, "--output_folder", tmp_path / "a")
    assert code == 0, output
    assert f"{drives.name} queries: 9 sequences of 3 frames" not in output
    assert "queries: 7 sequences of 3 frames, cut at 1 gaps in the numbers of frames" in output
    (results,) = json.loads((tmp_path / "a" / "results.json").read_text()).values()
    assert (results["database"], results["queries"], results["skipped_queries"]) == (10, 7, 0)
    plain, sequences = results["test_time"]
    assert plain["step"] == "plain"
    assert sequences["step"] == "+ sequences of 3, seq2seq by seqmatch, velocity 0.5 to 2"
    assert results["R@1"] == sequences["R@1"]
    record = results["sequences"]
    assert {key: record[key] for key in ("length", "mode", "method", "velocity")} == {
        "length": 3, "mode": "seq2seq", "method": "seqmatch", "velocity": [0.5, 2]
    }  # fmt: skip
    assert record["middle_frames"]["R@1"] <= results["R@1"]
    assert (
        "database and queries are sequences of 3 frames, seq2seq by seqmatch"
        in (tmp_path / "a" / "results.md").read_text()
    )
    table, about = load_predictions_table(tmp_path / "a" / "predictions.parquet")
    assert len(table) == 7 and about["sequences"] == record
    assert len(list((tmp_path / "a" / "preds").glob("*.jpg"))) >= 7
    settings = json.loads((tmp_path / "a" / "run.json").read_text())["settings"]
    assert (settings["sequence_length"], settings["sequence_method"]) == (3, "seqmatch")
    # The run's own file gives the same run.
    code, output = call("eval.py", "--config", tmp_path / "a" / "config.yaml", "--output_folder", tmp_path / "b")
    assert code == 0, output
    (again,) = json.loads((tmp_path / "b" / "results.json").read_text()).values()
    assert again["sequences"] == record and again["R@1"] == results["R@1"]


def test_length_1_is_what_is_measured_without_the_flag(drives: Path, tmp_path: Path):
    flags = [*COMMON, "--test_set_folder", drives]
    for name, extra in (("a", []), ("b", ["--sequence_length", 1])):
        code, output = call("eval.py", *flags, *extra, "--output_folder", tmp_path / name)
        assert code == 0, output
    (one,), (other,) = (json.loads((tmp_path / name / "results.json").read_text()).values() for name in ("a", "b"))
    assert one == other and "sequences" not in one
    tables = [load_predictions_table(tmp_path / name / "predictions.parquet")[0] for name in ("a", "b")]
    assert tables[0].equals(tables[1])


@pytest.mark.slow
def test_two_processes_find_the_same(drives: Path, tmp_path: Path):
    flags = [*COMMON, "--test_set_folder", drives, "--sequence_length", 4, "--index", "hnsw"]
    code, output = in_processes(2, "eval.py", *flags, "--output_folder", tmp_path / "two")
    assert code == 0, output
    code, output = call("eval.py", *flags, "--output_folder", tmp_path / "one")
    assert code == 0, output
    (two,), (one,) = (json.loads((tmp_path / name / "results.json").read_text()).values() for name in ("two", "one"))
    assert two["R@1"] == one["R@1"] and two["sequences"] == one["sequences"]


def test_mistakes_end_in_one_line(drives: Path, city: Path, tmp_path: Path):
    flags = [*COMMON, "--output_folder", tmp_path / "run"]
    test, five = ["--test_set_folder", drives], ["--sequence_length", 5]
    none = "--sequence_length: .*/test: database images have no sequence and frame: add the columns sequence and frame"
    assert_mistakes(
        "eval.py",
        [
            ([*flags, "--test_set_folder", city / "test", *five], 2, none.split(".*")[1]),
            ([*flags, *test, "--sequence_length", 8], 2, "--sequence_length: 8: "),
            ([*flags, *test, *five, "--rerank", "sift"], 2, "--rerank and --sequence_length are in conflict"),
            ([*flags, *test, *five, "--sequence_velocity", 1, 2], 2, "--sequence_velocity needs --sequence_method"),
            ([*flags, *test, "--sequence_mode", "im2seq"], 2, "--sequence_mode needs --sequence_length above 1"),
            (
                [*flags, *test, *five, "--sequence_method", "seqmatch", "--sequence_velocity", 2, 1],
                2,
                "--sequence_velocity 2 1: the first number must not be greater than the second",
            ),
            (
                [*flags, *test, *five, "--sequence_method", "seqmatch", "--index", "hnsw"],
                2,
                "--sequence_method seqmatch and --index hnsw are in conflict",
            ),
        ],
    )
