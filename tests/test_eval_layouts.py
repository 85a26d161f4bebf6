"""eval.py on other layouts, several queries folders, several thresholds, and the files of other programs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.readers.city import Street, write_street
from tests.datasets.readers.test_arrays import malicious
from tests.datasets.readers.test_npy_lists import write
from tests.datasets.readers.test_patch_netvlad import write as write_npz
from tests.helpers import assert_mistakes, call, in_processes

pytestmark = pytest.mark.slow

COMMON = [
    "--device", "cpu", "--num_workers", 0, "--backbone", "MobileNet_V3_Small", "--pretrained", "none",
    "--fc_output_dim", 16,
]  # fmt: skip


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Street:
    """A street; read only."""
    return write_street(tmp_path_factory.mktemp("eval") / "street")


def run(folder: Path, *flags: object) -> tuple[dict, str]:
    code, output = call("eval.py", *COMMON, *flags, "--output_folder", folder)
    assert code == 0, output
    return json.loads((folder / "results.json").read_text()), output


def test_lists_as_ground_truth(street: Street, tmp_path: Path):
    write(tmp_path / "sped", street)
    results, output = run(tmp_path / "run", "--dataset_folder", tmp_path / "sped", "--num_preds_to_save", 1)
    twin, _ = run(tmp_path / "twin", "--dataset_folder", street.folder)
    assert results["sped"]["R@1"] == twin["street"]["R@1"]
    assert (results["sped"]["layout"], twin["street"]["layout"]) == ("npy", "folders")
    assert "9 database images, 7 queries (layout npy, correct images as listed in SPED_gt.npy)" in output
    code, output = call("tools.errors", tmp_path / "run")
    assert code == 0 and "# Errors on sped" in output, output


def test_several_queries_folders_thresholds_and_recall_values(street: Street, tmp_path: Path):
    svox = tmp_path / "svox" / "images" / "test"
    shutil.copytree(street.folder / "database", svox / "gallery")
    for name in ("queries_night", "queries_rain"):
        shutil.copytree(street.folder / "queries", svox / name)
    flags = ["--positive_dist_threshold", 25, 3, "--recall_values", 2, 3, "--num_preds_to_save", 2]
    results, output = run(tmp_path / "all", "--dataset_folder", tmp_path / "svox", "--queries_folder", "all", *flags)
    names = [f"svox/test (queries_{name}){within}" for name in ("night", "rain") for within in ("", ", within 3 m")]
    assert [*results] == names
    assert results[names[0]] == results[names[2]]
    first = results[names[0]]
    assert [name for name in first if name.startswith("R@")] == ["R@1", "R@2", "R@3"]
    assert (first["positive_dist_threshold"], results[names[1]]["positive_dist_threshold"]) == (25, 3)
    assert results[names[1]]["queries_without_positives"] > first["queries_without_positives"]
    assert first["layout"] == "folders" and first["skipped_queries"] == 0
    for slug in ("svox_test_queries_night", "svox_test_queries_rain"):
        assert (tmp_path / "all" / slug / "predictions.parquet").is_file()
        assert (tmp_path / "all" / slug / "preds" / "000.txt").is_file()
    assert output.count("svox/test (queries_rain), within 3 m") == 2  # in the table of all and of answerable queries
    lines = (tmp_path / "all/svox_test_queries_rain/preds/000.txt").read_text().splitlines()
    assert lines[0] == "Query path:" and "queries_rain" in lines[1]
    assert len(lines[4 : lines.index("", 4)]) == 2 and all("gallery" in line for line in lines[4:6])
    positives = lines[lines.index("Positives paths:") + 1 :]
    assert [Path(line).name for line in positives] == [path.name for path in street.paths["database"][:2]]
    alone, _ = run(tmp_path / "one", "--test_set_folder", svox, "--queries_folder", "queries_rain", *flags)
    assert alone["images/test (queries_rain)"] == results[names[2]]
    record = json.loads((tmp_path / "all" / "run.json").read_text())
    assert set(record["images_per_second"]) == {names[0], names[2]}


def test_a_database_anywhere_and_files_of_other_programs(street: Street, tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    flags = ["--database_folder", street.folder / "database", "--queries_folder", street.folder / "queries"]
    flags += ["--save_descriptors", "hloc", "--export_predictions", "hloc", "msls"]
    results, output = run(tmp_path / "run", *flags)
    assert "street/queries: its layout is folders, not msls" in output
    ((name, own),) = results.items()
    assert name == "street/queries" and own["queries"] == 7
    with h5py.File(tmp_path / "run" / "descriptors.h5") as stored:
        assert (len(stored["database"]), len(stored["queries"])) == (9, 7)
        vectors = {part: [item["global_descriptor"][()] for item in stored[part].values()] for part in stored}
    pairs = [line.split(" ") for line in (tmp_path / "run" / "pairs.txt").read_text().splitlines()]
    assert len(pairs) == 63
    best = np.argmax(np.stack(vectors["queries"]) @ np.stack(vectors["database"]).T, axis=1)
    expected = sorted(path.name for path in street.paths["database"])
    assert [Path(pair[1]).name for pair in pairs[::9]] == [expected[row] for row in best]
    assert len((tmp_path / "run" / "msls_predictions.csv").read_text().splitlines()) == 7


def test_the_threshold_of_a_set_replaces_the_default(street: Street, tmp_path: Path):
    write_npz(tmp_path / "pitts", street, posDistThr=3)
    results, output = run(tmp_path / "own", "--dataset_folder", tmp_path / "pitts")
    assert results["pitts"]["positive_dist_threshold"] == 3
    assert "pitts: its files give 3 as the threshold instead of 25" in output
    given = ["--positive_dist_threshold", 10]
    results, _ = run(tmp_path / "given", "--test_set_folder", tmp_path / "pitts", "--layout", "patch_netvlad", *given)
    ((_, own),) = results.items()
    assert (own["positive_dist_threshold"], own["layout"], own["protocol"]) == (10, "patch_netvlad", "pitts30k_test")


def test_two_processes_share_a_database(street: Street, tmp_path: Path):
    shutil.copytree(street.folder / "database", tmp_path / "set" / "database")
    for name in ("queries_a", "queries_b"):
        shutil.copytree(street.folder / "queries", tmp_path / "set" / name)
    flags = ["--dataset_folder", tmp_path / "set", "--queries_folder", "all", "--multi_scale", "0.5,1"]
    alone, _ = run(tmp_path / "one", *flags)
    code, output = in_processes(2, "eval.py", *COMMON, *flags, "--output_folder", tmp_path / "two")
    assert code == 0, output
    both = json.loads((tmp_path / "two" / "results.json").read_text())
    assert [*both] == [*alone] == ["set (queries_a)", "set (queries_b)"]
    for name, own in both.items():
        assert own["R@1"] == alone[name]["R@1"] and len(own["test_time"]) == 2


def test_mistakes_end_in_one_line(street: Street, tmp_path: Path):
    write(tmp_path / "sped", street)
    malicious(tmp_path / "sped" / "SPED_gt.npy", tmp_path / "made")
    database = ["--database_folder", street.folder / "database"]
    mistakes = [
        (["--dataset_folder", tmp_path / "sped"], 1, "SPED_gt.npy: cannot be read as arrays (it names posix.system"),
        (["--dataset_folder", street.folder, "--layout", "msls"], 2, "--dataset_folder"),
        (["--dataset_folder", street.folder, "--layout", "x"], 2, "--layout"),
        (["--dataset_folder", tmp_path / "sped", "--protocol", "x"], 2, "--protocol: x: sets of the layout npy have"),
        (database, 2, "--database_folder needs --queries_folder"),
        ([*database, "--test_set_folder", street.folder], 2, "--database_folder and --test_set_folder are in conflict"),
        (["--dataset_folder", street.folder, "--save_descriptors", "csv"], 2, "csv must be npy or hloc"),
        (["--dataset_folder", street.folder, "--recall_values", "0"], 2, "--recall_values"),
        (["--dataset_folder", street.folder, "--positive_dist_threshold", "25", "0"], 2, "--positive_dist_threshold"),
        (["--dataset_folder", street.folder, "--protocol", "val"], 2, "--protocol"),
    ]
    mistakes = [
        ([*COMMON, "--output_folder", tmp_path / f"run{number}", *flags], code, words)
        for number, (flags, code, words) in enumerate(mistakes)
    ]
    assert_mistakes("eval.py", mistakes)
    assert not (tmp_path / "made").exists() and not list(tmp_path.glob("run*"))
