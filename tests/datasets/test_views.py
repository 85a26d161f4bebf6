from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from commons.errors import PlacewiseError
from datasets.grouping import Group
from datasets.places import Places, make_places
from datasets.samplers import Draw
from datasets.train_dataset import square
from datasets.views import is_panorama, principal_directions, view_group

EAST, NORTH = 550_000.0, 4_180_000.0


def table(xy: np.ndarray, heading: np.ndarray) -> Places:
    names = pa.array([f"{number}.jpg" for number in range(len(xy))])
    zone = np.full(len(xy), 10)
    return make_places(Path(), names, xy[:, 0] + EAST, xy[:, 1] + NORTH, zone, heading=heading)


def cells(*sizes: int) -> Group:
    return Group(np.arange(sum(sizes)), np.append(0, np.cumsum(sizes)), (0, 0, 0))


def test_directions_are_the_singular_vectors():
    draw = np.random.default_rng(0)
    members = np.repeat(np.arange(50), draw.integers(3, 20, 50))
    xy = draw.normal(size=(len(members), 2)) @ draw.normal(size=(2, 2)) + draw.normal(size=(50, 2))[members] * 30
    mean, direction = principal_directions(xy, members, 50)
    for c in range(50):
        own = xy[members == c]
        first = np.linalg.svd(own - own.mean(0))[2][0]
        assert mean[c] == pytest.approx(own.mean(0), abs=1e-9)
        assert abs(first @ direction[c]) == pytest.approx(1, abs=1e-9)
        assert direction[c, 0] >= 0


def test_views_worked_by_hand():
    """A street that runs east: the lateral point lies 10 m north of the middle, the frontal one 10 m east of it."""
    xy = np.array([[0.0, 0], [10, 0], [20, 0]])
    # Lateral bearings: from (0, 0) to (10, 10) 45 degrees, from the middle 0, from (20, 0) 315.
    headings = np.array([45.0, 0, 315])
    lateral = view_group(table(xy, headings), cells(3), False, 10, 1, panoramas=False, tolerance=0.01)
    assert lateral.images.tolist() == [0, 1, 2] and lateral.centres is None
    # Frontal: from (0, 0) and (10, 0) to (20, 0) 90 degrees; at the point itself any view is as good, north by rule.
    frontal = view_group(table(xy, np.array([90.0, 90, 0])), cells(3), True, 10, 1, panoramas=False, tolerance=0.01)
    assert frontal.images.tolist() == [0, 1, 2]


def test_the_nearest_crop_of_each_position_is_taken_within_the_tolerance():
    """Three positions along a street to the north with crops every 30 degrees; across means to the north half: west."""
    positions = np.array([[0.0, 0], [0, 5], [0.0, 11]])
    xy, headings = np.repeat(positions, 12, axis=0), np.tile(np.arange(0, 360, 30.0), 3)
    mean = positions.mean(0)
    _, direction = principal_directions(positions, np.zeros(3, int), 1)
    focal = mean + 8 * np.array([-direction[0, 1], direction[0, 0]])
    bearing = np.degrees(np.arctan2(*(focal - positions).T)) % 360
    expected = [12 * at + round(b / 30) % 12 for at, b in enumerate(bearing)]
    found = view_group(table(xy, headings), cells(36), False, 8, 3, panoramas=False, tolerance=15.1)
    assert found.images.tolist() == expected and found.offsets.tolist() == [0, 3]
    # Headings of the left edge, 28 degrees before the middle: the same crops are named 28 degrees less.
    moved = table(xy, headings - 28)
    assert view_group(moved, cells(36), False, 8, 3, False, 15.1, heading_offset=28).images.tolist() == expected
    off = [abs((round(b / 30) * 30 - b + 180) % 360 - 180) for b in bearing]
    few = view_group(table(xy, headings), cells(36), False, 8, 1, panoramas=False, tolerance=sorted(off)[1] + 0.01)
    assert few.images.tolist() == [row for row, angle in zip(expected, off, strict=True) if angle <= sorted(off)[1]]
    assert len(view_group(table(xy, headings), cells(36), False, 8, 3, False, sorted(off)[1] + 0.01)) == 0


def test_classes_with_few_views_are_left_out_and_the_others_keep_their_images():
    street = np.array([[0.0, 0], [10, 0], [20, 0]])
    xy = np.concatenate([street, street + (500, 300), street + (1000, 0)])
    good, bad = [45.0, 0, 315], [45.0, 0, 100]
    group = Group(np.arange(9)[::-1].copy(), np.array([0, 3, 6, 9]), (1, 2, 0))
    found = view_group(table(xy, np.array(good + bad + good)), group, False, 10, 3, panoramas=False, tolerance=5)
    assert sorted(found.images[:3].tolist()) == [6, 7, 8] and sorted(found.images[3:].tolist()) == [0, 1, 2]
    assert found.offsets.tolist() == [0, 3, 6] and found.group_id == (1, 2, 0)


@pytest.mark.parametrize("yaw", [0.0, 77.0, 300.0])
def test_the_window_of_a_panorama_has_the_view_in_its_middle(yaw: float):
    """A panorama whose columns say their own bearing, in tenths of a degree: the window's middle shows the bearing."""
    width, size = 3600, 300
    bearings = torch.from_numpy(np.round((np.arange(width) / width * 360 - 180 + yaw) * 10 % 3600).astype(np.int32))
    panorama = bearings.expand(3, size, width)
    xy = np.array([[0.0, 0], [10, 0], [20, 0]])
    group = view_group(table(xy, np.full(3, yaw)), cells(3), False, 10, 1, panoramas=True)
    for row, wanted in zip(group.images, (45, 0, 315), strict=True):
        window = square(panorama, size, Draw(int(row), 0, float(group.centres[row]), around=True))
        assert window.shape == (3, size, size)
        middle = window[0, 0, size // 2].item() / 10
        assert abs((middle - wanted + 180) % 360 - 180) <= 0.1
        assert (window[0, 0, -1] - window[0, 0, 0]).item() % 3600 == size - 1


def test_images_without_heading_are_named():
    with pytest.raises(PlacewiseError, match="1.jpg: no heading"):
        view_group(table(np.zeros((2, 2)), np.array([0.0, np.nan])), cells(2), False, 10, 1, panoramas=False)


def test_panoramas_are_told_by_their_shape(tmp_path: Path):
    for size, expected in (((3328, 512), True), ((512, 512), False), ((640, 480), False)):
        Image.new("RGB", size).save(tmp_path / "a.jpg")
        assert is_panorama(tmp_path / "a.jpg") == expected
    (tmp_path / "a.jpg").write_bytes(b"torn")
    with pytest.raises(PlacewiseError, match="a.jpg: cannot be read"):
        is_panorama(tmp_path / "a.jpg")
