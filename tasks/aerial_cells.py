"""Descriptors of places from above."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from tqdm import tqdm

from commons.devices import autocast
from datasets.tiles.archives import open_tiles
from datasets.tiles.crops import AerialTiles
from model.two_towers import TwoTowers
from retrieval.descriptors import begin_copy, gather

CACHE_MB = 512  # of decoded tiles
Degrees = tuple[np.ndarray, np.ndarray]  # latitude and longitude, each (n,)


def open_aerial(tiles: Sequence[str], device: torch.device | str = "cpu", cache_mb: float = CACHE_MB) -> AerialTiles:
    """Opens sources of tiles, as `--tiles` names them.

    Raises:
        PlacewiseError: if there is no such source.
    """
    return AerialTiles([open_tiles(path) for path in tiles], device, cache_mb)


@torch.inference_mode()
def extract_cells(
    network: TwoTowers,
    aerial: AerialTiles,
    latitude: np.ndarray,
    longitude: np.ndarray,
    config: Mapping[str, Any],
    *,
    bearing: float | np.ndarray = 0.0,
    batch_size: int = 16,
    precision: str = "fp32",
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Extracts the descriptors of places from above, batch by batch, in their order.

    Args:
        network: the towers; are switched to evaluation mode.
        aerial: the tiles, on the device of the network.
        latitude, longitude: middles of the places in degrees, (n,).
        config: of the network, with `metres_per_pixel`, `aerial_size` and `levels`.
        bearing: the direction that is up in the images, degrees clockwise from north, one number or (n,).
        batch_size: places in a batch.
        precision: "fp32", "bf16" or "fp16".

    Yields:
        The first place of the batch, descriptors of unit length, float32 (b, d), and the share of pixels of the finest
        images that are not empty, float32 (b,).
    """
    network.eval()
    bearings = np.broadcast_to(np.asarray(bearing, np.float64), np.shape(latitude))
    shape = config["metres_per_pixel"], config["aerial_size"], config["levels"]
    ready = None
    for start in range(0, len(latitude), batch_size):
        part = slice(start, start + batch_size)
        images, filled = aerial.pyramids(latitude[part], longitude[part], *shape, bearings[part])
        with autocast(aerial.device, precision):
            descriptors = network.embed_aerial(images).float()
        # The previous batch is copied while this one is computed, so a GPU does not wait for the copy.
        if ready is not None:
            yield ready[0], ready[1](), ready[2].cpu().numpy()
        ready = start, begin_copy(descriptors), filled[:, 0]
    if ready is not None:
        yield ready[0], ready[1](), ready[2].cpu().numpy()


def extract_in_all_processes(
    network: TwoTowers,
    aerial: AerialTiles,
    at: Degrees,
    config: Mapping[str, Any],
    accelerator: Accelerator,
    *,
    batch_size: int,
    precision: str,
    what: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Extracts the descriptors of places, each process its share; all of them must call it.

    Args:
        network, aerial, config, batch_size, precision: as for `extract_cells`.
        at: middles of the places.
        accelerator: accelerator of the processes.
        what: title of the progress bar.

    Returns:
        Descriptors, float32 (n, d), and the share of each place that tiles show, (n,), on every process.
    """
    rows = np.array_split(np.arange(len(at[0])), accelerator.num_processes)[accelerator.process_index]
    own = extract_cells(
        network, aerial, *(column[rows] for column in at), config, batch_size=batch_size, precision=precision
    )
    joined = (
        (rows[start : start + len(found)], np.concatenate([found, shown[:, None]], axis=1))
        for start, found, shown in own
    )
    dim = network.descriptor_dim + 1
    table = np.zeros((len(at[0]), dim), np.float32)
    with tqdm(desc=what, total=len(table), unit="cell", leave=False, disable=not accelerator.is_main_process) as bar:
        for part, values in gather(joined, accelerator, batch_size, dim):
            table[part] = values
            bar.update(len(part))
    return table[:, :-1], table[:, -1]
