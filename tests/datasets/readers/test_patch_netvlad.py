from pathlib import Path

import numpy as np
import pytest

from commons.errors import PlacewiseError
from datasets.test_dataset import TestSet
from tests.datasets.readers.city import Street, copy_images, measured, read, recalls_like


def write(folder: Path, street: Street, stem: str = "pitts30k_test", lists: str = ".", **others: object) -> None:
    for part, what, name in (("database", "000", "index"), ("queries", "queries_real", "query")):
        copies = copy_images(street, part, lambda number, what=what: folder / what / f"{number:06d}.jpg")
        lines = "".join(f"{path.relative_to(folder).as_posix()}\n" for path in copies)
        (folder / lists).mkdir(exist_ok=True)
        (folder / lists / f"{stem.partition('_')[0]}_imageNames_{name}.txt").write_text(lines)
    arrays = {"utmDb": street.utm["database"], "utmQ": street.utm["queries"], "posDistThr": 25}
    np.savez(folder / f"{stem}.npz", **arrays | others)


@pytest.mark.parametrize("lists", [".", "dataset_imageNames"])
def test_like_its_twin(tmp_path: Path, street: Street, twin: TestSet, lists: str):
    write(tmp_path / "pitts", street, lists=lists)
    (found,) = read(tmp_path / "pitts")
    assert (found.threshold, found.protocol) == (25, "pitts30k_test")
    recalls_like(found, twin)


def test_several_sets_find_their_lists(tmp_path: Path, street: Street):
    write(tmp_path / "sets", street)
    write(tmp_path / "sets", street, "tokyo247", posDistThr=10)
    pitts, tokyo = read(tmp_path / "sets")
    assert (pitts.name, tokyo.name) == ("sets (pitts30k_test)", "sets (tokyo247)")
    assert (pitts.threshold, tokyo.threshold) == (25, 10)
    assert [own.protocol for own in read(tmp_path / "sets", protocol="tokyo247")] == ["tokyo247"]


def test_positions_may_be_numbers_of_frames(tmp_path: Path, street: Street):
    frames = {part: np.stack([np.zeros(len(utm)), np.arange(len(utm))], axis=1) for part, utm in street.utm.items()}
    arrays = {"utmDb": 1000 + frames["database"], "utmQ": 1000 + frames["queries"], "posDistThr": 1}
    write(tmp_path / "n", street, "nordland", **arrays)
    (found,) = read(tmp_path / "n")
    results = measured(found, threshold=found.threshold).results
    assert results["queries_without_positives"] == 0 and results["positive_dist_threshold"] == 1


def test_lists_that_do_not_belong_to_the_positions_are_refused(tmp_path: Path, street: Street):
    write(tmp_path / "pitts", street, utmDb=street.utm["database"][:4])
    with pytest.raises(PlacewiseError, match="lists 9 images, but pitts30k_test.npz has 4 positions"):
        read(tmp_path / "pitts")
    for listing in (tmp_path / "pitts").glob("*.txt"):
        listing.unlink()
    with pytest.raises(PlacewiseError, match="no lists of names for it, such as pitts30k_imageNames_index.txt"):
        read(tmp_path / "pitts")
