"""CVACT (https://arxiv.org/abs/1903.12351): panoramas of Canberra.

ACT_data.mat                                   or in ANU_data_small: panoIds, utm, trainSet, valSet, valSetAll
ANU_data_small/streetview/<id>_grdView.jpg     training and validation
ANU_data_small/satview_polish/<id>_satView_polish.jpg
ANU_data_test/streetview, satview_polish       test: valSetAll, which holds valSet, too
"""

import logging
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.io import loadmat

from commons.errors import PlacewiseError, first_line
from commons.threads import in_threads
from datasets.cross_view.layout import TEST, TRAIN, VAL, PairedLayout, PairedSet, one_each
from datasets.places import make_places
from datasets.readers.reader import LOOKERS

FILE = "ACT_data.mat"
SETS = {TRAIN: ("trainSet", "trainInd"), VAL: ("valSet", "valInd"), TEST: ("valSetAll", "valInd")}
FOLDERS = {TRAIN: "ANU_data_small", VAL: "ANU_data_small", TEST: "ANU_data_test"}
ZONE = -55  # of UTM: Canberra
TOLERATED = 0.01  # the published files lack a few images


class Cvact(PairedLayout):
    """Each panorama has one aerial image. Pairs that lack an image are left out, as in published code, and counted."""

    name = "cvact"

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether ACT_data.mat is there."""
        return _mat(folder) is not None

    @staticmethod
    def evaluated(folder: Path) -> list[str]:
        """Returns the splits whose images are there."""
        there = [split for split in (VAL, TEST) if (folder / FOLDERS[split]).is_dir()]
        return there or [VAL]

    @classmethod
    def read(cls, folder: Path, split: str, protocol: str, name: str) -> PairedSet:
        """Reads the pairs of a split."""
        source = _mat(folder)
        numbers, utm = _read_mat(source, split)
        if len(np.unique(numbers)) < len(numbers):
            raise PlacewiseError(f"{source}: {SETS[split][0]} lists a panorama twice")
        photos = np.array([f"streetview/{number}_grdView.jpg" for number in numbers])
        aerial = np.array([f"satview_polish/{number}_satView_polish.jpg" for number in numbers])
        images = folder / FOLDERS[split]
        kept = _there(images, photos, source) & _there(images, aerial, source)
        lost = int((~kept).sum())
        if lost:
            first = photos[kept.argmin()]
            words = f"{images}: {lost} of {len(kept)} pairs of {source} lack an image, that of {first} among them"
            if lost > max(1, TOLERATED * len(kept)):
                raise PlacewiseError(f"{words}: is the download complete?")
            logging.warning(f"{words}; they are left out")
        east, north = utm[kept].T
        zone = np.where(np.isfinite(east), ZONE, 0)
        tables = [
            make_places(images, pa.array(names[kept].tolist(), pa.string()), east, north, zone)
            for names in (photos, aerial)
        ]
        return PairedSet(name, *tables, one_each(np.arange(len(east))), None, cls.name, protocol)


def _mat(folder: Path) -> Path | None:
    return next((path for path in (folder / FILE, folder / "ANU_data_small" / FILE) if path.is_file()), None)


def _there(folder: Path, names: np.ndarray, source: Path) -> np.ndarray:
    found = in_threads(lambda name: os.path.isfile(os.path.join(folder, name)), names, LOOKERS)
    return np.array(list(found), bool)


def _read_mat(source: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the panoramas of a split, str (n,), and east and north in metres, (n, 2), NaN if the file has none."""
    struct, field = SETS[split]
    try:
        content = loadmat(source, variable_names=["panoIds", "utm", struct], simplify_cells=True)
        names = np.char.strip(np.array(content["panoIds"], str).reshape(-1))
        rows = np.array(content[struct][field], np.float64).reshape(-1)
        utm = np.array(content.get("utm", np.full((len(names), 2), np.nan)), np.float64)
    except Exception as error:  # damaged files raise errors of many types
        words = f"cannot be read as the labels of CVACT, with panoIds and {struct}.{field}"
        raise PlacewiseError(f"{source}: {words} ({first_line(error)})") from error
    if not len(rows) or not (np.isin(rows, np.arange(1, len(names) + 1)).all() and utm.shape == (len(names), 2)):
        raise PlacewiseError(f"{source}: {struct}.{field} and utm do not match its {len(names)} panoramas")
    chosen = rows.astype(np.int64) - 1
    return names[chosen], np.sort(utm[chosen], axis=1)  # in Canberra, east is always smaller than north
