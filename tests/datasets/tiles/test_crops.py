from pathlib import Path

import numpy as np
import pytest
import torch
from pyproj import Geod
from scipy import ndimage

from commons.errors import ArgumentError
from datasets.tiles.crops import AerialTiles
from datasets.tiles.mercator import crop_matrices, to_world
from datasets.tiles.sampling import finish, sample_on_cpu, sample_on_device
from datasets.tiles.sources import FolderTiles
from tests.datasets.tiles.maps import LATITUDE, LONGITUDE, ZOOM, draw, tile_of, waves, write_map

HERE = np.array([LATITUDE]), np.array([LONGITUDE])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_map(tmp_path_factory.mktemp("map"))


@pytest.mark.parametrize("bearing", [0.0, 90.0, 217.0])
@pytest.mark.parametrize("metres", [0.6, 1.0])
def test_pixels_show_what_lies_where_geodesics_lead(folder: Path, bearing: float, metres: float):
    images, seen = AerialTiles([FolderTiles(folder)]).crops(*HERE, metres, 200, bearing)
    assert images.shape == (1, 3, 200, 200) and images.dtype == torch.uint8 and seen.tolist() == [1]
    first = np.array(tile_of()) * 256
    for column, row in ((0, 0), (199, 0), (100, 100), (20, 180), (160, 199)):
        right, up = (column + 0.5 - 100) * metres, (100 - row - 0.5) * metres
        turn = bearing + np.degrees(np.arctan2(right, up))
        lon, lat, _ = Geod(ellps="WGS84").fwd(LONGITUDE, LATITUDE, turn, np.hypot(right, up))
        place = np.array(to_world(lat, lon)) * 256 * 2**ZOOM - first
        assert np.allclose(images[0, :, row, column].numpy(), waves(*place), atol=3)


@pytest.mark.slow
@pytest.mark.parametrize("metres", [1.3, 2.0, 3.1])
def test_a_pixel_is_the_mean_over_its_area(tmp_path: Path, metres: float):
    """Noise of single pixels against the mean of 24 x 24 samples of each pixel, by SciPy."""
    noise = np.random.default_rng(0).integers(0, 255, (1280, 1280, 3))
    folder = write_map(tmp_path, lambda x, y: noise[(y + 512).astype(int), (x + 512).astype(int)])
    source = FolderTiles(folder)
    source.__class__ = type("OneZoom", (FolderTiles,), {"usable": range(ZOOM, ZOOM + 1)})
    images, _ = AerialTiles([source]).crops(*HERE, metres, 64, 30.0)
    matrix = crop_matrices(*HERE, *(np.array([value]) for value in (30.0, metres)), 64)[0] * 256 * 2**ZOOM
    matrix[:, 2] -= (np.array(tile_of()) - 2) * 256
    along = (np.arange(64 * 24) + 0.5) / 24
    x, y = np.tensordot(matrix, np.stack([*np.meshgrid(along, along), np.ones((64 * 24,) * 2)]), axes=1)
    for channel in range(3):
        dense = ndimage.map_coordinates(noise[..., channel].astype(float), [y - 0.5, x - 0.5], order=1)
        wanted = dense.reshape(64, 24, 64, 24).mean(axis=(1, 3))
        error = images[0, channel].numpy() - wanted
        # One bilinear sample for a pixel would be wrong by 30 grey levels and more.
        assert np.sqrt((error**2).mean()) < 6


def test_coarse_crops_use_coarse_zooms(folder: Path):
    """At 42 degrees a pixel of zoom 17 is 0.883 m: crops of 0.8, 0.9, 1.7 and 1.8 m need zooms 17, 17, 17 and 16."""
    aerial = AerialTiles([FolderTiles(folder)])
    for metres, zoom in ((0.8, 17), (0.9, 17), (1.7, 17), (1.8, 16)):
        aerial.crops(*HERE, metres, 32)
        assert next(reversed(aerial.pools[0]._slot_of))[0] == zoom


def test_both_samplers_agree(tmp_path: Path):
    rng = np.random.default_rng(1)
    tiles = rng.integers(0, 256, (5, 16, 16, 4), dtype=np.uint8)
    tiles = np.repeat(np.repeat(tiles, 4, axis=1), 4, axis=2)
    tiles[..., 3] = 255
    tiles[4] = 0
    slots = np.array([[[0, 1, 2], [3, 4, 0]], [[2, 2, 1], [0, 3, 1]]])
    angle = np.radians([20, 200])
    turn = np.stack([np.stack([np.cos(angle), -np.sin(angle)], 1), np.stack([np.sin(angle), np.cos(angle)], 1)], 1)
    for scale in (0.7, 1.6):
        matrices = np.concatenate([turn * scale, np.array([[[70.3], [25.1]], [[120.2], [101.9]]])], axis=2)
        on_cpu = np.stack([sample_on_cpu(tiles, s, m, 40) for s, m in zip(slots, matrices, strict=True)])
        on_device = sample_on_device(torch.from_numpy(tiles), slots, matrices, 40)
        images, seen = finish(torch.from_numpy(on_cpu))
        others, also_seen = finish(on_device)
        assert 0.5 < float(seen.float().mean()) < 1 or scale < 1
        assert float((seen != also_seen).float().mean()) < 0.01
        both = (seen & also_seen)[:, None].expand_as(images)
        apart = (images.int() - others.int()).abs()[both]
        assert float(apart.float().mean()) < 1.5 and int(apart.max()) < 30


def test_a_batch_is_what_its_crops_are_alone(folder: Path):
    rng = np.random.default_rng(2)
    latitude, longitude = LATITUDE + rng.normal(0, 3e-4, 40), LONGITUDE + rng.normal(0, 3e-4, 40)
    metres, bearing = rng.choice([0.5, 0.9, 2.2], 40), rng.uniform(0, 360, 40)
    aerial = AerialTiles([FolderTiles(folder)])
    images, seen = aerial.crops(latitude, longitude, metres, 48, bearing)
    for row in range(40):
        own = slice(row, row + 1)
        alone, share = aerial.crops(latitude[own], longitude[own], metres[own], 48, bearing[own])
        assert torch.equal(images[row], alone[0]) and seen[row] == share[0]


def test_memory_is_bounded_and_the_oldest_tiles_leave(folder: Path):
    few = AerialTiles([FolderTiles(folder)], cache_mb=6 * 0.25)
    many = AerialTiles([FolderTiles(folder)])
    assert few.pools[0].slots == 6 and few.pools[0].pixels.nbytes == 6 * 2**18
    latitude, longitude = np.array(HERE) + np.random.default_rng(3).uniform(-4e-3, 4e-3, (2, 30))
    assert torch.equal(few.crops(latitude, longitude, 0.8, 64)[0], many.crops(latitude, longitude, 0.8, 64)[0])
    loaded = many.pools[0].loaded
    many.crops(latitude, longitude, 0.8, 64)
    assert many.pools[0].loaded == loaded < few.pools[0].loaded
    with pytest.raises(ArgumentError, match=r"cache_mb.*a crop needs \d+ tiles .* only 6 fit; raise it"):
        few.crops(*HERE, 0.8, 800)


def test_the_fullest_source_comes_first_and_others_fill_its_gaps(tmp_path: Path):
    def grey(value: int):
        return lambda x, y: np.full((*x.shape, 3), value)

    write_map(tmp_path / "a", grey(50), reach=0)
    write_map(tmp_path / "b", grey(90), reach=1)
    column, row = tile_of()
    (tmp_path / "b" / str(ZOOM) / str(column - 1) / f"{row}.png").unlink()
    sources = [FolderTiles(tmp_path / name) for name in "ab"]
    from datasets.tiles.mercator import from_world

    def middle(east: float) -> tuple[np.ndarray, np.ndarray]:
        latitude, longitude = from_world((column + 0.5 + east) / 2**ZOOM, (row + 0.5) / 2**ZOOM)
        return np.array([latitude]), np.array([longitude])

    aerial = AerialTiles(sources)
    assert set(aerial.crops(*middle(0), 1.0, 64)[0].unique().tolist()) == {50}  # both full: the first
    images, seen = aerial.crops(*middle(0.4), 1.0, 64)
    assert set(images.unique().tolist()) == {90} and float(seen) == 1  # the first ends
    images, seen = aerial.crops(*middle(-0.55), 1.0, 64)
    # The second has nothing left of the edge, both have their own on its right.
    assert set(images.unique().tolist()) == {0, 50, 51} and 0 < float(seen) < 0.5


def test_pyramids(folder: Path):
    aerial = AerialTiles([FolderTiles(folder)])
    images, seen = aerial.pyramids(*HERE, 0.9, 64, levels=3, bearing=45.0)
    assert images.shape == (1, 3, 3, 64, 64) and seen.shape == (1, 3)
    assert torch.equal(images[:, 2], aerial.crops(*HERE, 3.6, 64, 45.0)[0])
    # The middle half of a level shows what the level before shows.
    small = torch.nn.functional.avg_pool2d(images[:, 0].float(), 2)
    assert (small - images[:, 1, :, 16:48, 16:48].float()).abs().mean() < 2


def test_wrong_arguments(folder: Path):
    with pytest.raises(ArgumentError, match="tiles.*contains no source"):
        AerialTiles([])
    with pytest.raises(ArgumentError, match="metres_per_pixel.*0 must be above 0"):
        AerialTiles([FolderTiles(folder)]).crops(*HERE, 0.0, 8)


def test_crops_across_the_antimeridian(tmp_path: Path):
    write_map(tmp_path, waves, reach=1, latitude=1.0, longitude=179.9999)
    for path in list((tmp_path / str(ZOOM)).glob("131072")):
        path.rename(path.with_name("0"))
    aerial = AerialTiles([FolderTiles(tmp_path)])
    there = np.array([1.0])
    images, seen = aerial.crops(there, np.array([179.99999]), 1.2, 64)
    others, also = aerial.crops(there, np.array([-180.00001]), 1.2, 64)
    assert float(seen) == float(also) == 1 and torch.equal(images, others)
    assert draw(0, 0, waves).std() > 10 and images.float().std() > 10
