import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from commons.errors import PlacewiseError
from datasets.readers.arrays import names_in_npz, read_npy, read_npz, texts


def ragged(lists: list[list[int]]) -> np.ndarray:
    """An array of arrays of different lengths, as ground truths are saved."""
    made = np.empty(len(lists), object)
    for number, own in enumerate(lists):
        made[number] = np.array(own, np.int64)
    return made


class Touch:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple:
        return os.system, (f"touch '{self.file}'",)


def malicious(path: Path, made: Path) -> None:
    array = np.empty(1, object)
    array[0] = Touch(made)
    np.save(path, array, allow_pickle=True)


def test_lists_of_rows_are_read(tmp_path: Path):
    np.save(tmp_path / "gt.npy", ragged([[3, 1], [], [7]]), allow_pickle=True)
    assert [own.tolist() for own in read_npy(tmp_path / "gt.npy")] == [[3, 1], [], [7]]
    mixed = np.empty((2, 2), object)
    mixed[0], mixed[1] = (0, [1, np.int64(2)]), (np.float64(1), np.array([4]))
    np.save(tmp_path / "mixed.npy", mixed, allow_pickle=True)
    assert read_npy(tmp_path / "mixed.npy")[0, 1] == [1, 2]
    assert read_npy(tmp_path / "mixed.npy").shape == (2, 2)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_pickles_of_all_times_are_read(tmp_path: Path, protocol: int):
    """NumPy 1 named its module numpy.core; protocol 2 holds bytes as text."""
    array = ragged([[1, 2], [200]])
    with open(tmp_path / "old.npy", "wb") as file:
        header = {"descr": "|O", "fortran_order": False, "shape": (2,)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(pickle.dumps(array, protocol=protocol))
    assert [own.tolist() for own in read_npy(tmp_path / "old.npy")] == [[1, 2], [200]]
    content = (tmp_path / "old.npy").read_bytes()
    if protocol < 4:  # names have their length before them in protocol 4
        (tmp_path / "old.npy").write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
        assert [own.tolist() for own in read_npy(tmp_path / "old.npy")] == [[1, 2], [200]]


def test_plain_arrays_are_read(tmp_path: Path):
    names = np.array(["/a/b.jpg", "c\\d.jpg"])
    np.save(tmp_path / "names.npy", names)
    assert texts(read_npy(tmp_path / "names.npy"), tmp_path) == ["a/b.jpg", "c/d.jpg"]
    np.savez(tmp_path / "two.npz", utm=np.eye(2), gt=np.array(5))
    arrays = read_npz(tmp_path / "two.npz")
    assert arrays["utm"].tolist() == [[1, 0], [0, 1]] and arrays["gt"] == 5
    assert names_in_npz(tmp_path / "two.npz") == {"utm", "gt"}
    assert names_in_npz(tmp_path / "names.npy") == set() == names_in_npz(tmp_path / "missing.npz")
    with pytest.raises(PlacewiseError, match="is not a list of names"):
        texts(np.arange(3), tmp_path)


def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path: Path):
    made = tmp_path / "made"
    malicious(tmp_path / "gt.npy", made)
    with pytest.raises(PlacewiseError, match=r"gt\.npy: cannot be read as arrays \(it names posix\.system"):
        read_npy(tmp_path / "gt.npy")
    np.savez(tmp_path / "gt.npz", GThard=np.eye(2))
    with zipfile.ZipFile(tmp_path / "gt.npz", "a") as archive:
        archive.write(tmp_path / "gt.npy", "GTsoft.npy")
    with pytest.raises(PlacewiseError, match="posix.system"):
        read_npz(tmp_path / "gt.npz")
    assert not made.exists()
    np.load(tmp_path / "gt.npy", allow_pickle=True)  # so it would have been
    assert made.exists()


@pytest.mark.parametrize("named", [b"cbuiltins\neval\n(S'1'\ntR.", b"cnumpy\nload\n(S'x'\ntR.", b"N.", b"torn"])
def test_other_pickles_are_refused(tmp_path: Path, named: bytes):
    with open(tmp_path / "gt.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1,)})
        file.write(named)
    with pytest.raises(PlacewiseError, match="cannot be read as arrays"):
        read_npy(tmp_path / "gt.npy")


def test_damaged_files_are_refused(tmp_path: Path):
    (tmp_path / "a.npy").write_bytes(b"nothing")
    with pytest.raises(PlacewiseError, match="a.npy"):
        read_npy(tmp_path / "a.npy")
    with pytest.raises(PlacewiseError, match="a.npy"):
        read_npz(tmp_path / "a.npy")
