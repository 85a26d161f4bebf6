"""Nordland: frames of one railway journey in several seasons, frame by frame at the same places.

    summer/images-00001.png ...   winter/images-00001.png ...   (spring/, fall/)
    cleanImageNames.txt           the frames without stops and tunnels, 27,592 of them; if missing, all frames

Two protocols are in use, and their recalls cannot be compared. 27592: every frame is a query, 10 frames of tolerance
(Patch-NetVLAD). 2760: every tenth frame is a query, 1 frame of tolerance (VPR-Bench, whose database is the winter).
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from commons.errors import ArgumentError, PlacewiseError
from datasets.places import Frames, Places
from datasets.positives import within_frames
from datasets.readers.reader import ALL, Choice, Reader, TestFolders, listed_places, numbered_images, one_of
from datasets.test_dataset import TestSet

SEASONS = ("spring", "summer", "fall", "winter")
LIST = "cleanImageNames.txt"


class Protocol(NamedTuple):
    """Every how many frames there is a query, the tolerance in frames, and the seasons."""

    step: int
    tolerance: int
    database: str
    queries: str


PROTOCOLS = {"27592": Protocol(1, 10, "summer", "winter"), "2760": Protocol(10, 1, "winter", "summer")}


class Nordland(Reader):
    """`protocol` is 27592 (the default) or 2760; `queries_folder` names another season for the queries."""

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether there are summer and winter."""
        return all((folder / season).is_dir() for season in ("summer", "winter"))

    @staticmethod
    def find(folder: Path, name: str, choice: Choice) -> list[TestFolders]:
        """Returns a set for each season that is chosen for the queries."""
        protocol = one_of(choice.protocol, PROTOCOLS, "nordland", "27592")
        _, _, database, usual = PROTOCOLS[protocol]
        there = [season for season in SEASONS if (folder / season).is_dir()]
        wanted = choice.queries or (usual,)
        if wanted == (ALL,):
            wanted = tuple(season for season in there if season != database)
        sets = []
        for queries in wanted:
            base = database if queries != database else usual
            for season in (base, queries):
                if season not in there:
                    have = ", ".join(there) or "no season"
                    raise ArgumentError("queries_folder", f"{season}: not in {folder}, which has {have}")
            suffix = f" ({queries})" if len(wanted) > 1 else ""
            sets.append(TestFolders(name + suffix, folder / base, folder / queries, "nordland", protocol, folder))
        return sets

    @staticmethod
    def read(folders: TestFolders, labelled: bool, database: Places | None = None) -> TestSet:
        """Reads the frames that both seasons share."""
        clean = folders.home / LIST
        seasons = [_frames(folder, clean) for folder in (folders.database, folders.queries)]
        if len(seasons[0]) != len(seasons[1]):
            raise PlacewiseError(
                f"{folders.home}: {folders.database.name} has {len(seasons[0])} frames and {folders.queries.name} "
                f"{len(seasons[1])}, but they must show the same frames: add {LIST}"
            )
        chosen = PROTOCOLS[folders.part]
        frames = np.arange(0, len(seasons[1]), chosen.step)
        names = [seasons[1][frame] for frame in frames]
        places = listed_places(folders.database, seasons[0], clean), listed_places(folders.queries, names, clean)
        # The frames that are left count as consecutive ones.
        places = [replace(own, frames=Frames(np.zeros(len(own), np.int64), np.arange(len(own)))) for own in places]
        every = "every frame is a query" if chosen.step == 1 else f"every {chosen.step}th frame is a query"
        protocol = (
            f"{folders.part}: {every}, {chosen.tolerance} frame(s) of tolerance, {folders.database.name} as database, "
            f"{folders.queries.name} as queries"
        )
        positives = within_frames(frames, len(seasons[0]), chosen.tolerance)
        return TestSet(folders.name, *places, labelled, positives, layout="nordland", protocol=protocol)


def _frames(folder: Path, clean: Path) -> list[str]:
    names = numbered_images(folder)
    if not clean.is_file():
        return names
    listed = {line.strip() for line in clean.read_text(encoding="utf-8").splitlines() if line.strip()}
    names = [name for name in names if Path(name).name in listed]
    if not names:
        raise PlacewiseError(f"{clean}: lists no image of {folder}")
    return names
