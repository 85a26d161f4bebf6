from pathlib import Path

import pytest

from commons.errors import ArgumentError
from datasets import layouts


def make(root: Path, *folders: str) -> str:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    return str(root)


def test_sf_xs(tmp_path: Path):
    root = make(tmp_path / "sf_xs", "train", "val/database", "val/queries", "test/database", "test/queries")
    assert layouts.train_folder(root, None) == tmp_path / "sf_xs/train"
    assert layouts.validation_folders(root, None).name == "sf_xs/val"
    val, test = layouts.evaluation_folders([root], None, [], None)
    assert (val.name, test.name) == ("sf_xs/val", "sf_xs/test")
    assert test.queries == tmp_path / "sf_xs/test/queries"


def test_several_queries_folders_must_be_chosen_from(tmp_path: Path):
    root = make(tmp_path / "sf_xl", "test/database", "test/queries_v1", "test/queries_night")
    with pytest.raises(ArgumentError, match="queries_night or queries_v1"):
        layouts.evaluation_folders([root], None, [], None)
    (chosen,) = layouts.evaluation_folders([root], None, [], "queries_v1")
    assert chosen.queries.name == "queries_v1"
    assert chosen.name == "sf_xl/test (queries_v1)"
    tokyo = make(tmp_path / "tokyo", "test/database", "test/queries")
    assert [s.queries.name for s in layouts.evaluation_folders([root, tokyo], None, [], "queries_v1")] == [
        "queries_v1",
        "queries",
    ]
    with pytest.raises(ArgumentError, match="`queries_folder`: queries_nigth: no set has this folder, they have"):
        layouts.evaluation_folders([tokyo], None, [], "queries_nigth")
    with pytest.raises(ArgumentError, match="queries_v9.*queries_night, queries_v1"):
        layouts.evaluation_folders([root], None, [], "queries_v9")


def test_single_queries_v1_needs_no_choice(tmp_path: Path):
    root = make(tmp_path / "small", "test/database", "test/queries_v1")
    assert layouts.evaluation_folders([root], None, [], None)[0].queries.name == "queries_v1"


def test_tokyo_xs_and_own_photos(tmp_path: Path):
    tokyo = make(tmp_path / "tokyo_xs", "test/database", "test/queries")
    mine = make(tmp_path / "mine", "database", "queries")
    assert [s.name for s in layouts.evaluation_folders([tokyo, mine], None, [], None)] == ["tokyo_xs/test", "mine"]


def test_single_folders_override(tmp_path: Path):
    root = make(tmp_path / "a", "train", "val/database", "val/queries", "test/database", "test/queries")
    other = make(tmp_path / "b" / "night", "database", "queries")
    assert layouts.train_folder(root, make(tmp_path, "t") + "/t") == tmp_path / "t"
    assert layouts.validation_folders(root, other).name == "b/night"
    assert [s.name for s in layouts.evaluation_folders([root], None, [other], None)] == ["a/val", "b/night"]
    assert [s.name for s in layouts.evaluation_folders([root], other, [], None)] == ["b/night", "a/test"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: layouts.train_folder(None, None), "`dataset_folder`"),
        (lambda p: layouts.train_folder(str(p), None), "`train_set_folder`"),
        (lambda p: layouts.train_folder(None, str(p / "x")), "`train_set_folder`"),
        (lambda p: layouts.validation_folders(str(p), None), "`val_set_folder`"),
        (lambda p: layouts.test_folders(p), "database"),
        (lambda p: layouts.evaluation_folders([str(p)], None, [], None), "has neither val/"),
        (lambda p: layouts.evaluation_folders([str(p / "x")], None, [], None), "no such folder"),
    ],
)
def test_missing_parts_name_the_flag(tmp_path: Path, call, words: str):
    with pytest.raises(ArgumentError, match=words):
        call(tmp_path)


def test_sets_of_the_same_name_are_named_by_what_tells_them_apart(tmp_path: Path):
    """As the usual downloader lays them out: X/images/test."""
    folders = ("database", "queries_v1", "queries_v2")
    sets = [make(tmp_path / name / "images" / "test", *folders) for name in ("pitts30k", "msls")]
    other = make(tmp_path / "tokyo" / "test", "database", "queries_v1")
    found = layouts.evaluation_folders([], None, [*sets, other], "queries_v1")
    assert [one.name for one in found] == [
        "pitts30k/images/test (queries_v1)", "msls/images/test (queries_v1)", "tokyo/test",
    ]  # fmt: skip
    assert found[0].database == tmp_path / "pitts30k/images/test/database"
    (alone,) = layouts.evaluation_folders([], None, sets[:1], "queries_v1")
    assert alone.name == "images/test (queries_v1)"


def test_names_are_told_apart_as_folders_of_results(tmp_path: Path):
    a, b = (make(tmp_path / name / "data", "val/database", "val/queries") for name in "ab")
    assert [one.name for one in layouts.evaluation_folders([a, b], None, [], None)] == ["a/data/val", "b/data/val"]
    beside = make(tmp_path / "c" / "Data_val", "database", "queries")
    names = [one.name for one in layouts.evaluation_folders([a, beside], None, [], None)]
    assert names == ["a/data/val", "c/Data_val"]
    deep = make(tmp_path / "x" / "a" / "data", "val/database", "val/queries")
    names = [one.name for one in layouts.evaluation_folders([a, deep], None, [], None)]
    assert names == [f"{tmp_path.name}/a/data/val", "x/a/data/val"]


def test_validation_and_test_sets_of_a_run_are_told_apart(tmp_path: Path):
    folders = [make(tmp_path / name / "images" / "test", "database", "queries") for name in "ab"]
    sets = layouts.check_sets([layouts.test_folders(folder) for folder in folders], None)
    assert [one.name for one in sets] == ["a/images/test", "b/images/test"]


def test_one_set_twice_and_folders_without_sets_are_refused(tmp_path: Path):
    a = make(tmp_path / "a" / "data", "test/database", "test/queries")
    words = "`dataset_folder`: two sets are named data/test, both in .*a/data/test: give each set once"
    with pytest.raises(ArgumentError, match=words):
        layouts.evaluation_folders([a, a], None, [], None)
    empty = make(tmp_path / "empty")
    with pytest.raises(ArgumentError, match="empty"):
        layouts.evaluation_folders([a, empty], None, [], None)


def test_database_without_queries(tmp_path: Path):
    make(tmp_path, "database")
    with pytest.raises(ArgumentError, match="queries"):
        layouts.test_folders(tmp_path)
