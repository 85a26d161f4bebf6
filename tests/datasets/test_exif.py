import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from datasets.exif import DAMAGED, NO_GPS, UNREADABLE, ZERO, read_exif
from datasets.reading import read_places


def write_exif(path: Path, gps: dict) -> None:
    path.parent.mkdir(exist_ok=True)
    exif = Image.Exif()
    exif.get_ifd(0x8825).update(gps)
    exif.get_ifd(0x8769)[36867] = "2021:05:06 07:08:09"
    Image.new("RGB", (8, 8)).save(path, exif=exif)


def test_exif_positions(tmp_path: Path):
    write_exif(tmp_path / "a.jpg", {1: "N", 2: (52.0, 12.0, 18.0), 3: "W", 4: (0.0, 7.0, 30.0), 17: 400.5})
    write_exif(tmp_path / "b.jpg", {1: "S", 2: (33.0, 30.0, 0.0), 3: "E", 4: (151.0, 0.0, 36.0)})
    places = read_places(tmp_path)
    assert places.latitude.tolist() == pytest.approx([52.205, -33.5])
    assert places.longitude.tolist() == pytest.approx([-0.125, 151.01])
    assert places.heading[0] == 40.5 and np.isnan(places.heading[1])
    assert places.utm_zone.tolist() == [30, -56]
    assert places.timestamp[0].as_py() == "2021:05:06 07:08:09"


def test_what_exif_does_not_say_stays_as_the_name_says(tmp_path: Path):
    write_exif(tmp_path / "@@@@@@@@@90@@@@201905@@.jpg", {1: "N", 2: (52.0, 0.0, 0.0), 3: "E", 4: (0.0, 6.0, 0.0)})
    places = read_places(tmp_path)
    assert places.latitude.tolist() == [52] and places.heading.tolist() == [90]


SYDNEY = {1: "S", 2: (33.0, 51.0, 30.0), 3: "W", 4: (151.0, 12.0, 36.0)}


@pytest.mark.parametrize(
    ("south", "west"),
    [
        ("S", "W"),
        ("S\0\0", "W\0"),
        (" S ", "W "),
        ("s", "w"),
        ("South", "west"),
        (b"S\0", b"W"),
        (b"s", b" West\0"),
    ],
)
def test_hemispheres_are_read_however_they_are_written(tmp_path: Path, south: str | bytes, west: str | bytes):
    write_exif(tmp_path / "a.jpg", SYDNEY | {1: south, 3: west})
    photo = read_exif(tmp_path / "a.jpg")
    assert (photo.latitude, photo.longitude) == pytest.approx((-33.858333, -151.21), abs=1e-6)
    assert not photo.problem and not photo.assumed


@pytest.mark.parametrize("reference", ["X", "?", "E", "null", b"\xff", "12"])
def test_a_hemisphere_that_is_none_is_damage(tmp_path: Path, reference: str | bytes):
    write_exif(tmp_path / "a.jpg", SYDNEY | {1: reference})
    assert read_exif(tmp_path / "a.jpg").problem == DAMAGED


@pytest.mark.parametrize("reference", ["", " ", None])
def test_a_missing_hemisphere_is_assumed_and_counted(
    tmp_path: Path, reference: str | None, caplog: pytest.LogCaptureFixture
):
    gps = SYDNEY | {1: reference}
    write_exif(tmp_path / "set" / "a.jpg", {key: value for key, value in gps.items() if value is not None})
    write_exif(tmp_path / "set" / "b.jpg", SYDNEY)
    places = read_places(tmp_path / "set")
    assert places.latitude == pytest.approx([33.858333, -33.858333], abs=1e-6)
    (record,) = caplog.records
    assert "the GPS positions of 1 images do not specify the hemisphere" in record.getMessage()


BYTE, ASCII, RATIONAL, UNDEFINED, SRATIONAL = 1, 2, 5, 7, 10


def write_gps(path: Path, tags: dict[int, tuple[int, bytes | list[tuple[int, int]]]]) -> None:
    """Writes GPS tags of the types that they are given with, which Pillow chooses itself: tag: (type, value)."""
    start, data, entries = 26, b"", b""  # the GPS tags follow 8 bytes of header and a directory with one entry
    end = start + 2 + 12 * len(tags) + 4
    for tag, (kind, value) in sorted(tags.items()):
        content = value if isinstance(value, bytes) else b"".join(struct.pack("<ii", *pair) for pair in value)
        count = len(value)
        field = content.ljust(4, b"\0") if len(content) <= 4 else struct.pack("<I", end + len(data))
        data += content if len(content) > 4 else b""
        entries += struct.pack("<HHI", tag, kind, count) + field
    header = b"II*\0" + struct.pack("<I", 8) + struct.pack("<HHHIII", 1, 0x8825, 4, 1, start, 0)
    exif = b"Exif\0\0" + header + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0) + data
    Image.new("RGB", (8, 8)).save(path, exif=exif)


@pytest.mark.parametrize("kind", [ASCII, BYTE, UNDEFINED])
@pytest.mark.parametrize(
    ("south", "west"), [(b"S\0", b"W\0"), (b"S", b"W"), (b"s   ", b"West\0\0"), (b"South\0", b"w")]
)
def test_hemispheres_are_read_of_every_type(tmp_path: Path, kind: int, south: bytes, west: bytes):
    numbers = ((33, 1), (51, 1), (30, 1)), ((151, 1), (12, 1), (36, 1))
    tags = {1: (kind, south), 2: (RATIONAL, [*numbers[0]]), 3: (kind, west), 4: (RATIONAL, [*numbers[1]])}
    write_gps(tmp_path / "a.jpg", tags)
    photo = read_exif(tmp_path / "a.jpg")
    assert (photo.latitude, photo.longitude) == pytest.approx((-33.858333, -151.21), abs=1e-6)


def rational(*numbers: tuple[int, int]) -> tuple[IFDRational, ...]:
    return tuple(IFDRational(*number) for number in numbers)


@pytest.mark.parametrize(
    ("parts", "reference", "expected"),
    [
        ([-33, 51, 30], None, -33.858333),
        ([-33, 51, 30], "S", -33.858333),
        ([-33, 51, 30], "N", -33.858333),
        ([-33, -51, -30], "S", -33.858333),
        ([0, -51, 0], None, -0.85),
        ([33, 51, 30], "S", -33.858333),
        ([33, 51, 30], "N", 33.858333),
    ],
)
def test_a_sign_belongs_to_the_whole_value_once(tmp_path: Path, parts: list[int], reference: str, expected: float):
    tags = {2: (SRATIONAL, [(part, 1) for part in parts]), 3: (ASCII, b"E\0"), 4: (RATIONAL, [(151, 1)])}
    write_gps(tmp_path / "a.jpg", tags | ({1: (ASCII, reference.encode() + b"\0")} if reference else {}))
    photo = read_exif(tmp_path / "a.jpg")
    assert photo.latitude == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (rational((48, 1), (5117, 100), (0, 0)), 48 + 51.17 / 60),
        (rational((48, 1), (5117, 100)), 48 + 51.17 / 60),
        (rational((488528, 10000), (0, 0), (0, 0)), 48.8528),
        (rational((488528, 10000)), 48.8528),
        (rational((48, 1), (51, 1), (102, 10)), 48 + 51 / 60 + 10.2 / 3600),
        (rational((48, 1), (51, 1), (60, 1)), 48 + 52 / 60),
    ],
)
def test_what_is_valid_is_read(tmp_path: Path, value: tuple, expected: float):
    write_exif(tmp_path / "a.jpg", {1: "N", 2: value, 3: "E", 4: (2.0, 21.0, 0.0)})
    photo = read_exif(tmp_path / "a.jpg")
    assert photo.latitude == pytest.approx(expected, abs=1e-9) and photo.problem == ""


@pytest.mark.parametrize(
    "value",
    [
        rational((48, 1), (51, 1), (0, 0)),
        rational((48, 1), (0, 0), (0, 0)),
        rational((0, 0), (51, 1), (0, 1)),
        rational((48, 1), (0, 0), (12, 1)),
        rational((48, 1), (5117, 1), (0, 1)),
        rational((91, 1), (0, 1), (0, 1)),
        rational((48, 1), (51, 1), (0, 1), (0, 1)),
    ],
)
def test_a_damaged_position_is_none(tmp_path: Path, value: tuple):
    """Whole minutes without seconds are a mile wide; 91 degrees north are no point on earth."""
    write_exif(tmp_path / "a.jpg", {1: "N", 2: value, 3: "E", 4: (2.0, 21.0, 0.0)})
    photo = read_exif(tmp_path / "a.jpg")
    assert photo.problem == DAMAGED and np.isnan(photo.latitude) and np.isnan(photo.longitude)
    assert photo.time == "2021:05:06 07:08:09"


def test_why_there_is_no_position(tmp_path: Path):
    write_exif(tmp_path / "zero.jpg", {1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)})
    write_exif(tmp_path / "equator.jpg", {1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (9.0, 0.0, 0.0)})
    write_exif(tmp_path / "half.jpg", {1: "N", 2: (48.0, 0.0, 0.0)})
    Image.new("RGB", (4, 4)).save(tmp_path / "none.jpg")
    (tmp_path / "torn.jpg").write_bytes(b"torn")
    problems = {path.stem: read_exif(path).problem for path in tmp_path.iterdir()}
    assert problems == {"zero": ZERO, "equator": "", "half": DAMAGED, "none": NO_GPS, "torn": UNREADABLE}
