"""Crops of aerial images at any position, bearing and resolution."""

from collections.abc import Sequence

import numpy as np
import shapely
import torch
from shapely.geometry.base import BaseGeometry

from commons.errors import ArgumentError
from datasets.tiles.mercator import check_latitudes, crop_matrices, world_per_metre
from datasets.tiles.pool import TilePool
from datasets.tiles.sampling import finish, sample_on_cpu, sample_on_device, samples_per_side
from datasets.tiles.sources import TileSource

AT_ONCE = 16  # crops sampled together on a GPU: about 100 MB for 384 x 384 pixels


class AerialTiles:
    """One or several sources of tiles that may overlap, as crops.

    Each crop is taken from the source with the fewest empty pixels there, the first of them if several have as few.
    Pixels that are empty in it come from the next one.
    """

    def __init__(
        self, sources: Sequence[TileSource], device: torch.device | str = "cpu", cache_mb: float = 512
    ) -> None:
        """Args:
        sources: sources of the tiles; they may have different zooms and tile sizes.
        device: where crops are made.
        cache_mb: memory of the decoded tiles of all sources together, on the device.

        Raises:
            ArgumentError: if there is no source.
        """
        if not sources:
            raise ArgumentError("tiles", "contains no source of tiles")
        self.sources, self.device = list(sources), torch.device(device)
        self.pools = [TilePool(source, self.device, cache_mb / len(sources)) for source in sources]

    def coverage(self) -> BaseGeometry:
        """Returns the area that has tiles, in degrees (x is longitude)."""
        return shapely.union_all([source.coverage() for source in self.sources])

    def crops(
        self,
        latitude: np.ndarray,
        longitude: np.ndarray,
        metres_per_pixel: float | np.ndarray,
        size: int,
        bearing: float | np.ndarray = 0.0,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cuts square crops.

        Args:
            latitude, longitude: middle of each crop in degrees, (b,).
            metres_per_pixel: metres per pixel on the ground (WGS84), one number or (b,).
            size: side in pixels.
            bearing: the direction that is up in a crop, degrees clockwise from north, one number or (b,).

        Returns:
            Images on the device, uint8 (b, 3, size, size), 0 where no source has a pixel, and the share of their pixels
            that are not empty, float32 (b,).

        Raises:
            ArgumentError: if a position is unknown or outside of tile maps, or the tiles of a crop do not fit into
                `cache_mb`.
        """
        latitude, longitude = (np.atleast_1d(np.asarray(degrees, np.float64)) for degrees in (latitude, longitude))
        check_latitudes(latitude, longitude)
        metres = np.broadcast_to(np.asarray(metres_per_pixel, np.float64), latitude.shape)
        if not (metres > 0).all():
            raise ArgumentError("metres_per_pixel", f"{metres.min():g} must be above 0")
        bearings = np.broadcast_to(np.asarray(bearing, np.float64), latitude.shape)
        worlds = crop_matrices(latitude, longitude, bearings, metres, size)
        pixel = metres * np.max(world_per_metre(latitude), axis=0)
        layers = [self._layer(pool, worlds, pixel, size) for pool in self.pools]
        images, seen = layers[0] if len(layers) == 1 else _merge(layers)
        return images, seen.float().mean(dim=(1, 2))

    def pyramids(
        self,
        latitude: np.ndarray,
        longitude: np.ndarray,
        metres_per_pixel: float,
        size: int,
        levels: int = 4,
        bearing: float | np.ndarray = 0.0,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cuts several crops at each position, each twice as wide as the one before.

        Args:
            latitude, longitude, size, bearing: as for `crops`.
            metres_per_pixel: metres per pixel of the first level.
            levels: crops of a position.

        Returns:
            Images, uint8 (b, levels, 3, size, size), and the share of their pixels that are not empty, (b, levels).
        """
        bearings = np.broadcast_to(bearing, np.shape(latitude))
        metres = [metres_per_pixel * 2**level for level in range(levels)]
        parts = [self.crops(latitude, longitude, pixel, size, bearings) for pixel in metres]
        images, seen = zip(*parts, strict=True)
        return torch.stack(images, dim=1), torch.stack(seen, dim=1)

    def _layer(
        self, pool: TilePool, worlds: np.ndarray, pixel: np.ndarray, size: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the crops of one source, uint8 (b, 3, size, size), and which pixels are not empty, bool."""
        images = torch.empty(len(worlds), 3, size, size, dtype=torch.uint8, device=self.device)
        seen = torch.empty(len(worlds), size, size, dtype=torch.bool, device=self.device)
        zooms = _zooms(pool.source, pixel)
        matrices = worlds * (pool.source.tile_size * 2.0**zooms)[:, None, None]
        # Crops of one zoom and number of samples, next to each other in the order of their positions.
        kinds = zooms * 1000 + [samples_per_side(matrix) for matrix in matrices]
        for kind in np.unique(kinds):
            rows = np.flatnonzero(kinds == kind)
            for start in range(0, len(rows), AT_ONCE):
                part = rows[start : start + AT_ONCE]
                images[part], seen[part] = _cut(pool, int(zooms[part[0]]), matrices[part], size)
        return images, seen


def _zooms(source: TileSource, pixel: np.ndarray) -> np.ndarray:
    """Returns for each crop the coarsest zoom that is at least as fine as its pixels, else the finest, int (b,).

    Args:
        source: source of the tiles.
        pixel: width of a pixel in world coordinates, (b,).
    """
    needed = np.ceil(-np.log2(pixel * source.tile_size) - 0.01).astype(int)
    return np.clip(needed, source.usable[0], source.usable[-1])


def _cut(pool: TilePool, zoom: int, matrices: np.ndarray, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns crops of one zoom; if their tiles do not fit into the pool together, in halves."""
    side = pool.source.tile_size
    corners = np.array([(0, 0, 1), (size, 0, 1), (0, size, 1), (size, size, 1)]).T
    reached = matrices @ corners  # (b, 2, 4)
    first = np.floor((reached.min(axis=2) - 1) / side).astype(np.int64)
    last = np.floor((reached.max(axis=2) + 1) / side).astype(np.int64)
    columns, rows = (last - first).max(axis=0) + 1
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)  # (rows, columns, 2)
    numbers = first[:, None, None] + grid
    numbers[..., 0] %= 2**zoom
    # Beyond its own last tile, a crop narrower than others has its last one again.
    numbers = np.where(first[:, None, None] + grid <= last[:, None, None], numbers, _wrapped(last, zoom))
    unique, places = np.unique(numbers.reshape(-1, 2), axis=0, return_inverse=True)
    if len(unique) > pool.slots and len(matrices) > 1:
        halves = [_cut(pool, zoom, half, size) for half in np.array_split(matrices, 2)]
        images, seen = zip(*halves, strict=True)
        return torch.cat(images), torch.cat(seen)
    slots = np.array(pool.load([(zoom, column, row) for column, row in unique.tolist()]))
    slots = slots[places].reshape(numbers.shape[:3])
    local = matrices.copy()
    local[:, :, 2] -= first * side
    if pool.pixels.device.type == "cpu":
        tiles = pool.pixels.numpy()
        # Each crop has a canvas of its own size.
        shapes = last - first + 1
        crops = [sample_on_cpu(tiles, s[:h, :w], m, size) for s, m, (w, h) in zip(slots, local, shapes, strict=True)]
        return finish(torch.from_numpy(np.stack(crops)))
    return finish(sample_on_device(pool.pixels, slots, local, size))


def _wrapped(last: np.ndarray, zoom: int) -> np.ndarray:
    """Returns the last tile of each crop, (b, 1, 1, 2), with its column on the map."""
    return np.stack([last[:, 0] % 2**zoom, last[:, 1]], axis=1)[:, None, None]


def _merge(layers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns crops of several sources, those with the most pixels first."""
    images, seen = (torch.stack(part) for part in zip(*layers, strict=True))
    order = seen.sum(dim=(2, 3)).argsort(dim=0, descending=True, stable=True)
    crop = torch.arange(images.shape[1], device=images.device)
    merged, filled = images[order[0], crop], seen[order[0], crop]
    for place in order[1:]:
        other, there = images[place, crop], seen[place, crop] & ~filled
        merged = torch.where(there[:, None], other, merged)
        filled = filled | there
    return merged, filled
