from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from commons.errors import ArgumentError, PlacewiseError
from datasets.test_dataset import TestSet
from tests.datasets.readers.city import Street, copy_images, names_of, read, recalls_like


def cells(names: list[str]) -> np.ndarray:
    made = np.empty((len(names), 1), object)
    made[:, 0] = names
    return made


def struct(names: dict[str, list[str]], street: Street, **others: object) -> dict:
    """The struct with the fields of NetVLAD's, in their order."""
    return {
        "whichSet": "test", "dbImageFns": cells(names["database"]), "utmDb": street.utm["database"].T,
        "qImageFns": cells(names["queries"]), "utmQ": street.utm["queries"].T, "numImages": 9.0, "numQueries": 7.0,
        "posDistThr": 25.0, "posDistSqThr": 625.0, "nonTrivPosDistSqThr": 100.0,
    } | others  # fmt: skip


def write_pittsburgh(folder: Path, street: Street, stem: str = "pitts30k_test", **others: object) -> None:
    """Database and queries share names, as in Pittsburgh."""
    names = {}
    for part, below in (("database", "."), ("queries", "queries_real")):
        place = lambda number: folder / below / f"000/{number:06d}_pitch1_yaw1.jpg"  # noqa: B023, E731
        copies = copy_images(street, part, place)
        names[part] = [path.relative_to(folder / below).as_posix() for path in copies]
    (folder / "datasets").mkdir(exist_ok=True)
    savemat(folder / "datasets" / f"{stem}.mat", {"dbStruct": struct(names, street, **others)})


def test_pittsburgh_is_like_its_twin(tmp_path: Path, street: Street, twin: TestSet):
    write_pittsburgh(tmp_path / "pitts", street)
    (found,) = read(tmp_path / "pitts")
    results = recalls_like(found, twin)
    assert (found.threshold, results["protocol"]) == (25, "pitts30k_test")
    assert results["positive_dist_threshold"] == 25


def test_tokyo_is_like_its_twin(tmp_path: Path, street: Street, twin: TestSet):
    """Its list names .jpg where the files are .png, and the queries lie in a folder that the list does not name."""
    folder = tmp_path / "tokyo247"
    database = copy_images(street, "database", lambda number: folder / "tokyo247" / f"03814/381471{number}_012_0.png")
    queries = copy_images(street, "queries", lambda number: folder / "query/247query_subset_v2" / f"{number:05d}.jpg")
    names = {
        "database": [path.relative_to(folder / "tokyo247").with_suffix(".jpg").as_posix() for path in database],
        "queries": [path.name for path in queries],
    }
    savemat(folder / "tokyo247.mat", {"dbStruct": struct(names, street)})
    (found,) = read(folder)
    assert names_of(found.database)[0].endswith(".png")
    recalls_like(found, twin)


def test_one_set_for_each_file(tmp_path: Path, street: Street):
    for stem in ("pitts30k_train", "pitts30k_val", "pitts30k_test"):
        write_pittsburgh(tmp_path / "pitts", street, stem)
    assert [own.name for own in read(tmp_path / "pitts")] == ["pitts (pitts30k_test)", "pitts (pitts30k_val)"]
    assert [own.name for own in read(tmp_path / "pitts", protocol="pitts30k_train")] == ["pitts"]
    with pytest.raises(ArgumentError, match="`protocol`: x: sets of the layout dbstruct have pitts30k_test"):
        read(tmp_path / "pitts", protocol="x")


def test_damaged_files(tmp_path: Path, street: Street):
    folder = tmp_path / "pitts"
    write_pittsburgh(folder, street)
    file = folder / "datasets/pitts30k_test.mat"

    def refused(words: str) -> None:
        with pytest.raises(PlacewiseError, match=words):
            read(folder)

    write_pittsburgh(folder, street, utmQ=street.utm["queries"][:5].T)
    refused("lists 7 images but has 5 positions")
    write_pittsburgh(folder, street, utmQ="unknown")
    refused("its positions do not have the shape")
    savemat(file, {"dbStruct": {"dbImageFns": cells(["a"]), "utmDb": np.zeros((2, 1))}})
    refused("has no dbStruct with qImageFns, utmQ")
    savemat(file, {"other": 1})
    refused("has no dbStruct")
    file.write_bytes(b"no MATLAB file")
    refused("pitts30k_test.mat: cannot be read as a .mat file")
    write_pittsburgh(folder, street, qImageFns=cells([f"none/{number}.jpg" for number in range(7)]))
    refused("lists none/0.jpg, which is not in")
