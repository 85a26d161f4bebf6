from pathlib import Path

import numpy as np
import pytest

from commons.errors import ArgumentError
from datasets.layouts import evaluation_folders, find_sets, free_folders, test_sets_of, train_folder, validation_folders
from datasets.readers import READERS
from datasets.readers.reader import Choice, numbered_images
from datasets.test_dataset import read_test_sets
from tests.datasets.readers.city import Street, measured, names_of, read

SVOX = ("queries", "queries_night", "queries_overcast", "queries_rain", "queries_snow", "queries_sun")


def make(root: Path, *folders: str) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    return root


@pytest.mark.parametrize("below", [".", "images", "images/test"])
def test_a_set_may_lie_in_images(tmp_path: Path, below: str):
    root = make(tmp_path / "pitts30k", f"{below}/database", f"{below}/queries")
    (found,) = find_sets(root, Choice())
    assert (found.name, found.database) == (f"{tmp_path.name}/pitts30k", root / below / "database")
    (found,) = evaluation_folders([str(root)], None, [], None)
    assert found.name == ("pitts30k/test" if below == "images/test" else "pitts30k")


def test_parts_of_a_data_set_may_lie_in_images(tmp_path: Path):
    parts = [f"images/{part}/{what}" for part in ("val", "test") for what in ("database", "queries")]
    root = str(make(tmp_path / "sf", "images/train", *parts))
    assert [own.name for own in evaluation_folders([root], None, [], None)] == ["sf/val", "sf/test"]
    assert validation_folders(root, None).queries == Path(root, "images/val/queries")
    assert [own.name for own in test_sets_of(root, None)] == ["sf/test"]
    assert train_folder(root, None) == Path(root, "images/train")


def test_svox(tmp_path: Path):
    root = str(make(tmp_path / "svox", "images/test/gallery", *(f"images/test/{name}" for name in SVOX)))
    found = evaluation_folders([root], None, [], "all")
    assert [own.queries.name for own in found] == list(SVOX)
    assert {own.database for own in found} == {Path(root, "images/test/gallery")}
    assert found[1].name == "svox/test (queries_night)"
    found = evaluation_folders([root], None, [], ["queries_sun", "queries_night"])
    assert [own.queries.name for own in found] == ["queries_sun", "queries_night"]
    with pytest.raises(ArgumentError, match=r"`queries_folder`: .* has several: choose queries or .*, or all"):
        evaluation_folders([root], None, [], None)
    with pytest.raises(ArgumentError, match="queries_fog: not in .*, which has queries, queries_night"):
        evaluation_folders([root], None, [], ["queries_sun", "queries_fog"])


def test_a_database_and_queries_anywhere(tmp_path: Path):
    make(tmp_path, "a/db", "b/day", "c/night")
    found = free_folders(str(tmp_path / "a/db"), [str(tmp_path / "b/day"), str(tmp_path / "c/night")])
    assert [(own.name, own.database) for own in found] == [
        ("b/day", tmp_path / "a/db"), ("c/night", tmp_path / "a/db"),
    ]  # fmt: skip
    with pytest.raises(ArgumentError, match="`queries_folder`: .*d: there is no such folder"):
        free_folders(str(tmp_path / "a/db"), [str(tmp_path / "d")])
    with pytest.raises(ArgumentError, match="`database_folder`: needs `queries_folder`"):
        free_folders(str(tmp_path / "a/db"), None)


def test_sets_with_one_database_share_its_table(street: Street):
    (street.folder / "queries").rename(street.folder / "queries_a")
    make(street.folder, "queries_b")
    for path in sorted((street.folder / "queries_a").iterdir())[:3]:
        (street.folder / "queries_b" / path.name).write_bytes(path.read_bytes())
    first, second = read(street.folder, queries_folder="all")
    assert first.database is second.database
    assert (len(first.queries), len(second.queries)) == (7, 3)
    folders = evaluation_folders([str(street.folder)], None, [], ["queries_b"])
    (alone,) = read_test_sets(folders)
    expected, kept = measured(alone), []
    assert measured(first, databases=kept).described == 16
    assert len(kept) == 1
    shared = measured(second, databases=kept)
    assert shared.results == expected.results and shared.described == 3
    assert np.array_equal(shared.predictions, expected.predictions)


def test_a_layout_can_be_forced(street: Street):
    with pytest.raises(ArgumentError, match="`test_set_folder`: .*: there is no folder named ref"):
        find_sets(street.folder, Choice(), "vpr_bench")
    with pytest.raises(ArgumentError, match=r"`layout`: folder: choose folders, msls, .* \(did you mean folders\?\)"):
        find_sets(street.folder, Choice(), "folder")
    (found,) = read(street.folder, layout="folders")
    assert names_of(found.queries) == sorted(names_of(found.queries))


def test_no_reader_recognises_an_empty_folder(tmp_path: Path):
    assert not any(reader.recognises(tmp_path) for reader in READERS.values())
    with pytest.raises(ArgumentError, match="nor another known layout"):
        evaluation_folders([str(tmp_path)], None, [], None)


def test_frames_are_ordered_by_their_numbers(tmp_path: Path):
    for name in ("10.jpg", "9.jpg", "b2.jpg", "0011.jpg", "b10.jpg", "²3.jpg"):
        (tmp_path / name).touch()
    assert numbered_images(tmp_path) == ["9.jpg", "10.jpg", "0011.jpg", "b2.jpg", "b10.jpg", "²3.jpg"]
