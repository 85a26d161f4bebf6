"""Descriptors of places in aerial images."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from tqdm import tqdm

from commons.devices import autocast
from commons.threads import in_threads
from datasets.tiles.archives import open_tiles
from datasets.tiles.crops import AerialTiles
from model.two_towers import TwoTowers
from retrieval.descriptors import begin_copy, gather

CACHE_MB = 512  # of decoded tiles
Degrees = tuple[np.ndarray, np.ndarray]  # latitude and longitude, each (n,)


def open_aerial(tiles: Sequence[str], device: torch.device | str = "cpu", cache_mb: float = CACHE_MB) -> AerialTiles:
    """Opens the sources of tiles of `--tiles`.

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
    """Extracts aerial descriptors of places, batch by batch, in their order.

    Args:
        network: both towers; switched to evaluation mode.
        aerial: the tiles, on the device of the network.
        latitude, longitude: centres of the places in degrees, (n,).
        config: configuration of the network, with `metres_per_pixel`, `aerial_size` and `levels`.
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
    starts, ready = range(0, len(latitude), batch_size), None

    def cut(start: int) -> tuple[torch.Tensor, torch.Tensor]:
        part = slice(start, start + batch_size)
        return aerial.pyramids(latitude[part], longitude[part], *shape, bearings[part])

    for start, (images, filled) in zip(starts, _cut_ahead(cut, starts, aerial.device), strict=True):
        with autocast(aerial.device, precision):
            descriptors = network.embed_aerial(images).float()
        # The previous batch is copied while this one is computed, so a GPU does not wait for the copy.
        if ready is not None:
            yield ready[0], ready[1](), ready[2].cpu().numpy()
        ready = start, begin_copy(descriptors), filled[:, 0]
    if ready is not None:
        yield ready[0], ready[1](), ready[2].cpu().numpy()


def _cut_ahead(
    cut: Callable[[int], tuple[torch.Tensor, torch.Tensor]], starts: Sequence[int], device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yields batches of images and their filled shares.

    On a GPU, a thread cuts the next images in a separate stream while the network computes. On a CPU, the network uses
    all cores.
    """
    if device.type != "cuda":
        yield from map(cut, starts)
        return
    own, main = torch.cuda.Stream(device), torch.cuda.current_stream(device)
    own.wait_stream(main)

    def in_own_stream(start: int) -> tuple[torch.Tensor, torch.Tensor, torch.cuda.Event]:
        with torch.cuda.stream(own):
            images, filled = cut(start)
            return images, filled, own.record_event()

    for images, filled, done in in_threads(in_own_stream, starts, 1):
        main.wait_event(done)
        for tensor in (images, filled):  # their memory is not given to the next images while the network needs it
            tensor.record_stream(main)
        yield images, filled
    main.wait_stream(own)


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
    """Extracts the descriptors of places, each process a share of them; all processes must call it.

    Args:
        network, aerial, config, batch_size, precision: as for `extract_cells`.
        at: centres of the places.
        accelerator: accelerator of the processes.
        what: title of the progress bar.

    Returns:
        Descriptors, float32 (n, d), and the share of each place covered by tiles, (n,), on every process.
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
