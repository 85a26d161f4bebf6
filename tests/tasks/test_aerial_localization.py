"""Figures of localization against computations photo by photo."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shapely.geometry import Point, box

from cells.region import cut_region
from commons.sphere import from_local_km, haversine_km, to_local_km
from datasets.decoding import ImageFiles
from datasets.letterbox import Letterbox
from datasets.reading import read_places
from tasks import aerial_localization
from tasks.aerial_localization import measure, measured_text, showing
from tests.tasks.aerial_world import AT, PixelDatabase, region, write_photos, write_tiles
from tests.tasks.test_locating_aerial import opened  # noqa: F401, fixture

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiles(tmp_path_factory.mktemp("aerial") / "tiles")


@pytest.fixture(scope="module")
def database(tiles: Path) -> PixelDatabase:
    """Cells whose descriptors are disturbed, so that some photos are located wrongly."""
    made = PixelDatabase(region(), [str(tiles)])
    made.descriptors += 0.05 * np.random.default_rng(0).normal(size=made.descriptors.shape).astype(np.float32)
    made.descriptors /= np.linalg.norm(made.descriptors, axis=1, keepdims=True)
    return made


@pytest.fixture
def photos(tiles: Path, tmp_path: Path) -> ImageFiles:
    """28 photos with positions: two at night, one outside of the region. One without a position, one damaged."""
    draw = np.random.default_rng(1)
    folder = write_photos(tmp_path / "p", tiles, *draw.uniform(-110, 110, (2, 25)), draw.uniform(0, 60, 25))
    write_photos(folder, tiles, np.array([160.0]), np.array([0.0]), np.array([0.0]))
    for number, name in enumerate(["@@@@@50@8@@@@@@@@night@.png", "@@@@@50.0002@8@@@@@@@@night@.png", "none.png"]):
        size = (96, 48) if number == 1 else (48, 48)
        Image.effect_noise(size, 60).convert("RGB").save(folder / name)
    (folder / "broken.png").write_bytes(b"no image")
    return ImageFiles(read_places(folder, positions=False), Letterbox(48, 48))


def brute_force(database: PixelDatabase, found, photo: int, k: int, radius: int) -> bool:
    """Whether one of the first k cells is right, for one photo."""
    rows = found.answered.rows
    latitude, longitude = (column[rows[photo]] for column in found.places.degrees)
    order = np.argsort(-(database.descriptors @ found.answered.descriptors[photo]), kind="stable")[:k]
    if radius == 0:
        return any(database.cells.polygon(int(cell)).contains(Point(longitude, latitude)) for cell in order)
    middles = database.cells.centres(order)
    return bool((1000 * haversine_km(latitude, longitude, *middles) < radius).any())


def test_the_lines_equal_a_computation_photo_by_photo(database: PixelDatabase, photos: ImageFiles, opened):  # noqa: F811
    found = measure(opened(database), photos, 3)
    text = measured_text(found)
    known = np.flatnonzero(found.known)
    assert len(photos.places) == 30 and len(known) == 28
    for radius in (0, 25, 50, 100):
        for k in (1, 5, 10, 50, 100):
            expected = np.mean([brute_force(database, found, photo, k, radius) for photo in known])
            assert f"\nRecall@{k}<{radius}m: {expected:.4f}\n" in text
    assert 0.2 < found.recall(1, 25) < 0.9 and found.recall(100, 0) < 1
    blocks = re.findall(r"(?:^Recall@\d+<\d+m: \d\.\d{4}\n){5}\n", text, re.MULTILINE)
    assert [block.split("<")[1].split(":")[0] for block in blocks] == ["0m", "25m", "50m", "100m"]


def test_counts_and_groups(database: PixelDatabase, photos: ImageFiles, opened):  # noqa: F811
    found = measure(opened(database), photos, 3)
    text = measured_text(found)
    assert text.splitlines()[0] == f"30 photos, {len(database.cells)} cells of 30 m"
    assert "1 cannot be decoded" in text and "1 without a position: answered, not measured" in text
    assert "1 outside of all cells: measured, never in the right cell" in text
    numbers = {row[0]: int(row[1]) for row in re.findall(r"^(\w[\w ]*?)  +(\d+)  ", text, re.MULTILINE)}
    assert numbers == {
        "all": 28, "day": 26, "night": 2, "with heading": 26, "without heading": 2, "panoramas": 1, "no panoramas": 27
    }  # fmt: skip
    day = found.groups["day"]
    right = [brute_force(database, found, photo, 1, 50) for photo in np.flatnonzero(found.known & day)]
    assert found.recall(1, 50, day) == pytest.approx(np.mean(right))
    assert re.search(rf"^day +26 .* {np.mean(right):.3f} \(0\.\d+ to [01]\.\d+\)", text, re.MULTILINE)


def test_radii_below_the_cells_are_marked(database: PixelDatabase, tiles: Path, photos, opened):  # noqa: F811
    assert "is below half the diagonal" not in measured_text(measure(opened(database), photos, 3))
    large = PixelDatabase(region(size_m=60.0), [str(tiles)])
    text = measured_text(measure(opened(large), photos, 3))
    mark = "(25 m is below half the diagonal of a cell, 42.4 m: the right cell may be farther away)"
    assert f"{mark}\nRecall@1<25m" in text
    assert text.count("is below half") == 1


def test_constant_descriptors_are_never_right(database: PixelDatabase, tiles: Path, photos, opened):  # noqa: F811
    same = PixelDatabase(database.cells, [str(tiles)])
    same.descriptors[:] = same.descriptors[0]
    found = measure(opened(same), photos, 3)
    assert found.recall(1, 0) == found.recall(50, 50) == 0 and found.exact == {"R@1%": 0, "hit rate": 0}


def test_one_percent_and_hit_rate(database: PixelDatabase, photos: ImageFiles, opened, monkeypatch):  # noqa: F811
    found = measure(opened(database), photos, 3)
    own, right, hits = found.cell[found.answered.rows], [], []
    for photo in np.flatnonzero(found.known):
        if own[photo] < 0:
            right.append(False), hits.append(False)
            continue
        similar = database.descriptors @ found.answered.descriptors[photo]
        better = np.flatnonzero(similar > similar[own[photo]])
        position = [column[found.answered.rows[photo]] for column in found.places.degrees]
        apart = np.abs(to_local_km(*position, *database.cells.centres(better))).max(axis=0)
        right.append(len(better) == 0)  # 1 % of about 90 cells
        hits.append(not (apart >= 0.048).any())
    assert found.exact["R@1%"] == pytest.approx(100 * np.mean(right))
    assert found.exact["hit rate"] == pytest.approx(100 * np.mean(hits)) and np.mean(hits) > np.mean(right)
    monkeypatch.setattr(aerial_localization, "MOST_WORK", 10)
    assert "R@1% and hit rate are left out" in measured_text(measure(opened(database), photos, 3))


def test_cells_without_images_are_never_answered_and_no_wrong_answers(database, tiles: Path, photos, opened):  # noqa: F811
    """As if a database had been built of the other cells alone."""
    some = PixelDatabase(database.cells, [str(tiles)])
    some.descriptors[:] = database.descriptors
    some.empty = np.arange(0, len(some.cells), 3)
    found = measure(opened(some), photos, 3)
    assert found.empty == len(some.empty) and found.answered.ranked.cells.shape[1] == found.cells
    assert not np.isin(found.answered.ranked.cells, some.empty).any()
    kept = np.setdiff1d(np.arange(len(some.cells)), some.empty)
    similar = found.answered.descriptors[found.known] @ database.descriptors[kept].T
    own = found.cell[found.answered.rows][found.known]
    right = (kept[similar.argmax(axis=1)] == own).mean()
    assert found.exact["R@1%"] == pytest.approx(100 * right) and found.recall(1, 0) == pytest.approx(right)
    assert f"30 photos, {found.cells} cells of 30 m ({found.empty} others have no aerial image)" in measured_text(found)


def test_cells_that_show_a_point():
    """Compared with all cells of a region, one point after the other."""
    mercator = cut_region(box(*(AT[1] - 0.002, AT[0] - 0.002, AT[1] + 0.002, AT[0] + 0.002)), 30.0, mercator=True)
    for cells, half in ((region(), 30.0), (region(), 48.0), (region(), 7.0), (mercator, 20.0)):
        points = from_local_km(*np.random.default_rng(2).uniform(-0.17, 0.17, (2, 60)), *AT)
        point, cell = showing(cells, *points, half)
        for number in range(60):
            apart = np.abs(to_local_km(points[0][number], points[1][number], *cells.centres())).max(axis=0)
            assert sorted(cell[point == number]) == np.flatnonzero(apart < half / 1000).tolist()
        assert len(cell) > 10


def test_headings_and_distances(tiles: Path, tmp_path: Path, opened):  # noqa: F811
    turned = PixelDatabase(region(60), [str(tiles)], aerial_bearing="heading")
    middles = [1000 * own for own in to_local_km(*turned.cells.centres(np.arange(5) * 3), *AT)]
    folder = write_photos(tmp_path / "p", tiles, *middles, np.array([1, 92, 178, 268, 359.0]))
    images = ImageFiles(read_places(folder), Letterbox(48, 48))
    found = measure(opened(turned, bearings=4), images, len(turned.cells))
    text = measured_text(found)
    assert sorted(found.heading_error.round().tolist()) == [1, 1, 2, 2, 2]
    assert "Error of headings (5): median 2.0 degrees; 90 by chance" in text
    assert "Distance of first answers: median 0.0 m" in text


def test_photos_without_positions_are_only_counted(database: PixelDatabase, tmp_path: Path, opened):  # noqa: F811
    Image.effect_noise((48, 48), 60).convert("RGB").save(tmp_path / "a.png")
    images = ImageFiles(read_places(tmp_path, positions=False), Letterbox(48, 48))
    text = measured_text(measure(opened(database), images, 3))
    assert text.splitlines()[1:] == ["1 without a position: answered, not measured"]
