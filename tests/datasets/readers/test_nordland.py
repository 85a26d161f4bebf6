from pathlib import Path

import numpy as np
import pytest

from commons.errors import ArgumentError, PlacewiseError
from datasets.sequences import cut_windows, frames_of
from tests.conftest import NORTH, sf_name, write_picture
from tests.datasets.readers.city import measured, names_of, read

FRAMES = 24


@pytest.fixture
def seasons(tmp_path: Path) -> Path:
    """Frames of one journey in two seasons; frame 5 is a stop, which is not in the list."""
    draw = np.random.default_rng(0)
    for season in ("summer", "winter"):
        for frame in range(FRAMES):
            write_picture(tmp_path / "nordland" / season / f"images-{frame + 1:05d}.png", frame % 7, draw)
    names = [f"images-{frame + 1:05d}.png" for frame in range(FRAMES) if frame != 5]
    (tmp_path / "nordland" / "cleanImageNames.txt").write_text("\n".join(names) + "\n")
    return tmp_path / "nordland"


def utm_twin(folder: Path, seasons: Path, frames: dict[str, list[int]], spacing: float) -> Path:
    """The frames at made-up places in a straight line, as the usual downloader writes them."""
    for part, (season, numbers) in frames.items():
        for number in numbers:
            source = seasons / season / f"images-{number + 1 + (number >= 5):05d}.png"
            target = folder / part / sf_name(0, NORTH + number * spacing, extension=".png")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    return folder


@pytest.mark.parametrize(
    ("protocol", "step", "tolerance", "names"),
    [("27592", 1, 10, ("summer", "winter")), ("2760", 10, 1, ("winter", "summer"))],
)
def test_like_its_twin(tmp_path: Path, seasons: Path, protocol: str, step: int, tolerance: int, names: tuple[str, str]):
    (found,) = read(seasons, protocol=protocol)
    frames = {"database": (names[0], range(23)), "queries": (names[1], range(0, 23, step))}
    (twin,) = read(utm_twin(tmp_path / "twin", seasons, frames, 25 / (tolerance + 0.5)))
    own, other = measured(found), measured(twin)
    assert np.array_equal(own.predictions, other.predictions)
    assert {name: own.results[name] for name in ("R@1", "R@5", "R@10")} == {
        name: other.results[name] for name in ("R@1", "R@5", "R@10")
    }
    assert own.results["R@1"] < 100
    assert own.results["queries"] == -(-23 // step)
    # The frames that are listed are one sequence.
    assert frames_of(found.database).frame.tolist() == list(range(23))
    assert len(cut_windows(frames_of(found.queries), 2, np.arange(len(found.queries)), "x")) == len(found.queries) - 1
    assert own.results["protocol"].startswith(f"{protocol}: every")
    assert f"{tolerance} frame(s) of tolerance, {names[0]} as database" in own.results["protocol"]


def test_the_usual_protocol_and_other_seasons(seasons: Path):
    (found,) = read(seasons)
    assert found.protocol.startswith("27592") and "images-00006.png" not in names_of(found.queries)
    (found,) = read(seasons, queries_folder="summer")
    assert found.database.folder.name == "winter"
    with pytest.raises(ArgumentError, match="spring: not in .*, which has summer, winter"):
        read(seasons, queries_folder="spring")
    with pytest.raises(ArgumentError, match="`protocol`: 3000: sets of the layout nordland have 27592, 2760"):
        read(seasons, protocol="3000")


def test_seasons_with_other_frames_are_refused(seasons: Path):
    (seasons / "winter" / "images-00003.png").unlink()
    with pytest.raises(PlacewiseError, match="summer has 23 frames and winter 22, but they must show the same frames"):
        read(seasons)
