"""NumPy's files .npy and .npz without running what is in them.

Lists of different lengths are saved as pickles, and a pickle can name any function to call. Here it can name what
builds arrays and nothing else.
"""

import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from commons.errors import PlacewiseError, first_line


def _latin1(text: str, encoding: str) -> bytes:
    """Stands for _codecs.encode, by which old pickles hold bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"names the encoding {encoding}")
    return text.encode("latin1")


_MULTIARRAY = np.empty(0).__reduce__()[0].__module__  # numpy._core.multiarray, before NumPy 2 numpy.core.multiarray
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_SCALAR = np.float64(0).__reduce__()[0]
ALLOWED: Mapping[tuple[str, str], Callable] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
    **{
        (module, name): function
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name, function in (("_reconstruct", _RECONSTRUCT), ("scalar", _SCALAR))
    },
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable:
        """Returns what builds arrays; a pickle calls what this returns."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, and only arrays are read")
        return ALLOWED[module, name]


def read_npy(path: Path) -> np.ndarray:
    """Reads an array, with lists in it too.

    Raises:
        PlacewiseError: if the file is damaged, or its pickle names anything but arrays. Nothing in it is executed.
    """
    try:
        with open(path, "rb") as stream:
            return _read(stream)
    except Exception as error:  # a damaged pickle raises any error
        raise _refused(path, error) from error


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Reads the arrays of an archive by their names.

    Raises:
        PlacewiseError: as `read_npy`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            arrays = {}
            for name in names:
                with archive.open(name) as stream:
                    arrays[name.removesuffix(".npy")] = _read(stream)
            return arrays
    except Exception as error:
        raise _refused(path, error) from error


def names_in_npz(path: Path) -> set[str]:
    """Returns the names of the arrays of an archive, and nothing if it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return set()


def texts(array: Any, source: Path) -> list[str]:
    """Returns an array of names as a list, without a leading slash.

    Raises:
        PlacewiseError: if it is none.
    """
    values = np.asarray(array).reshape(-1).tolist()
    if not all(isinstance(value, (str, bytes)) for value in values):
        raise PlacewiseError(f"{source}: is not a list of names")
    decoded = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]
    return [value.strip().replace("\\", "/").lstrip("/") for value in decoded]


def _read(stream: BinaryIO) -> np.ndarray:
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    if not dtype.hasobject:
        stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)
    array = _ArraysOnly(stream, encoding="latin1").load()
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        raise pickle.UnpicklingError("its pickle is no array")
    return array.reshape(shape, order="F" if fortran else "C")


def _refused(path: Path, error: Exception) -> PlacewiseError:
    return PlacewiseError(f"{path}: cannot be read as arrays ({first_line(error)})")
