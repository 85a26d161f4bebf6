"""Decoded tiles of a source in a block of memory of fixed size, on the CPU or a GPU."""

import os
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch

from commons.errors import ArgumentError
from commons.threads import in_threads
from datasets.tiles.sources import TileSource

Key = tuple[int, int, int]  # zoom, column, row


class TilePool:
    """The tiles that were used last (LRU).

    Attributes:
        pixels: uint8 (slots, s, s, 4) on the device.
        slots: how many tiles fit.
        loaded: tiles read from the source so far.
    """

    def __init__(self, source: TileSource, device: torch.device | str, megabytes: float) -> None:
        """Args:
        source: source of the tiles.
        device: where they are kept.
        megabytes: megabytes of memory, all of which is taken at once.
        """
        self.source, self.loaded = source, 0
        self.slots = max(int(megabytes * 2**20 / (4 * source.tile_size**2)), 1)
        self.pixels = torch.zeros(self.slots, source.tile_size, source.tile_size, 4, dtype=torch.uint8, device=device)
        self._slot_of: OrderedDict[Key, int] = OrderedDict()

    def load(self, keys: Sequence[Key]) -> list[int]:
        """Returns the slots of different tiles, after reading those that are not there yet in several threads.

        Raises:
            ArgumentError: if more tiles are needed at once than fit.
        """
        if len(keys) > self.slots:
            raise ArgumentError(
                "cache_mb",
                f"a crop needs {len(keys)} tiles of {self.source.name}, but only {self.slots} fit; raise it",
            )
        for key in keys:
            if key in self._slot_of:
                self._slot_of.move_to_end(key)
        absent = [key for key in keys if key not in self._slot_of]
        threads = 0 if len(absent) < 2 else os.cpu_count() or 1
        for key, tile in zip(absent, in_threads(lambda key: self.source.read(*key), absent, threads), strict=True):
            # The tiles of this call are the last ones, and there are at most as many as slots.
            slot = self._slot_of.popitem(last=False)[1] if len(self._slot_of) == self.slots else len(self._slot_of)
            self.pixels[slot] = torch.from_numpy(np.ascontiguousarray(tile)).to(self.pixels.device)
            self._slot_of[key] = slot
            self.loaded += 1
        return [self._slot_of[key] for key in keys]
