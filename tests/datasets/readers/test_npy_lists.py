from pathlib import Path

import numpy as np
import pytest

from commons.errors import ArgumentError, PlacewiseError
from datasets.layouts import validation_folders
from datasets.test_dataset import TestSet
from tests.datasets.readers.city import Street, copy_images, names_of, read, recalls_like
from tests.datasets.readers.test_arrays import malicious, ragged


def write(folder: Path, street: Street, truth: str = "gt", stem: str = "SPED") -> None:
    for part, what, name in (("database", "ref", "dbImages"), ("queries", "query", "qImages")):
        copies = copy_images(street, part, lambda number, what=what: folder / what / f"{number:07d}.jpg")
        np.save(folder / f"{stem}_{name}.npy", np.array([path.relative_to(folder).as_posix() for path in copies]))
    np.save(folder / f"{stem}_{truth}.npy", ragged(street.near()), allow_pickle=True)


@pytest.mark.parametrize("truth", ["gt", "gt_25m", "pIdx"])
def test_like_its_twin(tmp_path: Path, street: Street, twin: TestSet, truth: str):
    write(tmp_path / "sped", street, truth)
    (found,) = read(tmp_path / "sped")
    results = recalls_like(found, twin)
    assert results["protocol"] == f"correct images as listed in SPED_{truth}.npy"
    assert "correct database image among their first N predictions" in results["rule"]
    assert "positive_dist_threshold" not in results


def test_it_may_be_the_validation_set_of_a_training(tmp_path: Path, street: Street):
    write(tmp_path / "sped", street)
    found = validation_folders(None, str(tmp_path / "sped"))
    assert (found.layout, found.part, found.home) == ("npy", "SPED_gt", tmp_path / "sped")
    write(tmp_path / "sped", street, stem="other")
    with pytest.raises(ArgumentError, match=r"`val_set_folder`: .* has several sets, .*\(SPED\), .*: choose one"):
        validation_folders(None, str(tmp_path / "sped"))


def test_some_of_the_names_are_queries(tmp_path: Path, street: Street, twin: TestSet):
    """As of MSLS, whose 740 queries are among 747 names."""
    write(tmp_path / "msls", street, "pIdx", "msls_val")
    names = np.load(tmp_path / "msls/msls_val_qImages.npy")
    np.save(tmp_path / "msls/msls_val_qImages.npy", np.array(["query/no.jpg", *names[:4], "query/no.jpg", *names[4:]]))
    np.save(tmp_path / "msls/msls_val_qIdx.npy", np.array([1, 2, 3, 4, 6, 7, 8]))
    recalls_like(*read(tmp_path / "msls"), twin)


def test_images_may_lie_in_images_and_several_sets_in_a_folder(tmp_path: Path, street: Street):
    write(tmp_path / "lists", street, stem="pitts30k_val")
    for name in ("dbImages", "qImages"):
        lists = np.load(tmp_path / f"lists/pitts30k_val_{name}.npy")
        np.save(tmp_path / f"lists/pitts30k_test_{name}.npy", np.array([f"/{own}" for own in lists]))
    np.save(tmp_path / "lists/pitts30k_test_gt.npy", ragged(street.near(10)), allow_pickle=True)
    np.save(tmp_path / "lists/pitts30k_test_gt_25m.npy", ragged(street.near()), allow_pickle=True)
    for part in ("ref", "query"):
        (tmp_path / "lists" / "images").mkdir(exist_ok=True)
        (tmp_path / "lists" / part).rename(tmp_path / "lists" / "images" / part)
    test, val = read(tmp_path / "lists")
    assert (test.name, val.name) == ("lists (pitts30k_test)", "lists (pitts30k_val)")
    assert test.positives.counts.sum() < val.positives.counts.sum()
    assert names_of(test.queries)[0] == "query/0000000.jpg"
    with pytest.raises(ArgumentError, match="`protocol`: gt_10m: sets of the layout npy have gt, gt_25m"):
        read(tmp_path / "lists", protocol="gt_10m")


def test_what_does_not_belong_together_is_refused(tmp_path: Path, street: Street):
    folder = tmp_path / "sped"
    write(folder, street)
    truth = np.load(folder / "SPED_gt.npy", allow_pickle=True)

    def refused(words: str) -> None:
        with pytest.raises((PlacewiseError, ArgumentError), match=words):
            read(folder)

    np.save(folder / "SPED_gt.npy", truth[:-1], allow_pickle=True)
    refused("has the correct images of 6 queries, and there are 7 queries")
    np.save(folder / "SPED_gt.npy", ragged([[9]] * 7), allow_pickle=True)
    refused("query 0 has the correct image 9, but the database has 9 images")
    malicious(folder / "SPED_gt.npy", tmp_path / "made")
    refused("only arrays are read")
    assert not (tmp_path / "made").exists()
    np.save(folder / "SPED_gt.npy", truth, allow_pickle=True)
    (folder / "ref/0000003.jpg").unlink()
    refused(r"lists ref/0000003.jpg, which is not in .*sped \(1 of 9 images\)")
    (folder / "SPED_gt.npy").unlink()
    refused("there is no SPED_gt.npy or SPED_pIdx.npy in it")
