"""Extraction of the descriptors of a table of places, in all processes."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from tqdm import tqdm

from commons.checkpoints import network_fingerprint
from commons.distributed import check_same
from datasets.decoding import ImageFiles, Size
from datasets.places import Places, places_key
from datasets.test_dataset import image_batches
from datasets.unreadable import UnreadableImages
from retrieval.descriptors import ExtractionError, extract, gather
from retrieval.table import DescriptorTable, stored_as


def make_table(count: int, dim: int, on_disk: bool = False, folder: Path | None = None) -> DescriptorTable:
    """Makes an empty table, in memory in float32 or in a temporary file in float16.

    Args:
        count: maximum number of descriptors.
        dim: dimension of the descriptors.
        on_disk: whether to use a file.
        folder: folder of the file; None for the system's temporary folder.
    """
    if not on_disk:
        return DescriptorTable(count, dim)
    # The file has no name, so it is removed when the table is no longer used and when the process is killed.
    with tempfile.TemporaryFile(dir=folder) as file:
        table = DescriptorTable(count, dim, file)
    table.folder = folder
    return table


def make_stored(table: DescriptorTable, kind: str, on_disk: bool, folder: Path | None) -> DescriptorTable:
    """Returns the descriptors of a table in another type, as `stored_as`; arguments as for `make_table`."""
    if not on_disk:
        return stored_as(table, kind)
    with tempfile.TemporaryFile(dir=folder) as file:
        return stored_as(table, kind, file)


def columns_of(places: Places, rows: np.ndarray) -> dict[str, list]:
    """Returns paths and positions of images in degrees, NaN where unknown."""
    chosen = places.take(rows)
    paths = [str(chosen.path(row)) for row in range(len(chosen))]
    return {"path": paths, "latitude": chosen.latitude.tolist(), "longitude": chosen.longitude.tolist()}


@dataclass(frozen=True)
class Extractor:
    """Extracts descriptors of images.

    Attributes:
        accelerator: accelerator of the processes that share the work.
        precision: "fp32", "bf16" or "fp16".
        batch_size: images in a batch of each process.
        num_workers: number of decoding threads of each process.
        shorter_side: size of the shorter side of the images, or their height and width; None to keep their size.
    """

    accelerator: Accelerator
    precision: str = "fp32"
    batch_size: int = 16
    num_workers: int = 0
    shorter_side: Size = None

    def table(
        self,
        network: torch.nn.Module,
        places: Places,
        what: str,
        source: ImageFiles | None = None,
        on_disk: bool = False,
        folder: Path | None = None,
    ) -> DescriptorTable | None:
        """Extracts the descriptors of all images. All processes must call it.

        Args:
            network: network with a `descriptor_dim`, on the device of the accelerator.
            places: the images.
            what: title of the progress bar; "" for no bar.
            source: cached images; None to read files.
            on_disk, folder: storage of the descriptors, as for `make_table`.

        Returns:
            The descriptors on the main process, None on the others.
        """
        source = source or ImageFiles(places, self.shorter_side)
        # Also closed after an error, because the error line would follow the open progress bar in the same line.
        with closing(self.stream(network, places, source, what)) as stream:
            if not self.accelerator.is_main_process:
                for _ in stream:
                    pass
                return None
            table = make_table(len(places), network.descriptor_dim, on_disk, folder)
            table.columns = partial(columns_of, places)
            table.add(stream)
            return table

    def stream(
        self, network: torch.nn.Module, places: Places, source: ImageFiles, what: str
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (rows (b,), float32 descriptors (b, d)) of all processes as they come; all processes must call it."""
        accelerator = self.accelerator
        if accelerator.num_processes > 1:
            check_same(f"list of images ({what})", places_key(places), accelerator)
            check_same("network", network_fingerprint(network), accelerator)
        extracted = self.alone(network, places, source, accelerator.process_index, accelerator.num_processes)
        stream = gather(extracted, accelerator, self.batch_size, network.descriptor_dim)
        hidden = not accelerator.is_main_process or not what.strip()
        with tqdm(desc=what, total=len(places), unit="img", leave=False, disable=hidden) as bar:
            for rows, descriptors in stream:
                bar.update(len(rows))
                yield rows, descriptors

    def alone(
        self,
        network: torch.nn.Module,
        places: Places,
        source: ImageFiles,
        share: int = 0,
        shares: int = 1,
        unreadable: UnreadableImages | None = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields rows and descriptors of one of several shares of the images, without the other processes."""
        device = self.accelerator.device
        batches = image_batches(source, self.batch_size, self.num_workers, device, share, shares, unreadable)
        try:
            yield from extract(network, batches, device, self.precision)
        except ExtractionError as error:
            raise type(error)(f"{places.path(error.rows[0])}: {error}", error.rows, error.exit_code) from error
