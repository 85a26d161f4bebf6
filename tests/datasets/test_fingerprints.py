import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from datasets.fingerprints import count_shared, fingerprints
from datasets.reading import read_images


def write(folder: Path, count: int, first: int = 0) -> Path:
    folder.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(first + number).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
    return folder


def test_copies_and_links_under_other_names_are_known(tmp_path: Path):
    target, test = write(tmp_path / "target", 5), write(tmp_path / "test", 4, first=100)
    known = fingerprints(read_images(target))
    assert len(set(known.tolist())) == 5
    assert count_shared(read_images(test), known) == 0
    shutil.copy(target / "2.jpg", test / "copy of another name.jpg")
    (test / "link.jpg").symlink_to(target / "3.jpg")
    assert count_shared(read_images(test), known) == 2
    assert count_shared(read_images(target), known) == 5


def test_a_changed_file_is_another_and_unreadable_files_are_nobodys(tmp_path: Path):
    target = write(tmp_path / "target", 2)
    known = fingerprints(read_images(target))
    (target / "0.jpg").write_bytes((target / "0.jpg").read_bytes()[:-1] + b"x")
    places = read_images(target)
    (target / "1.jpg").unlink()
    assert count_shared(places, known) == 0
    assert fingerprints(places)[1] == 0
    assert count_shared(places, fingerprints(places)) == 1
