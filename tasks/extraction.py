"""From a table of places to a table of descriptors, over all processes."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from tqdm import tqdm

from datasets.decoding import ImageFiles, Size
from datasets.places import Places
from datasets.test_dataset import image_batches
from retrieval.descriptors import ExtractionError, extract, gather
from retrieval.table import DescriptorTable


def make_table(count: int, dim: int, on_disk: bool = False, folder: Path | None = None) -> DescriptorTable:
    """Makes an empty table, in memory in float32 or in a file in float16.

    Args:
        count: the most descriptors that will be added.
        dim: their dimension.
        on_disk: whether it lies in a file.
        folder: where the file lies; None for the system's temporary folder.
    """
    if not on_disk:
        return DescriptorTable(count, dim)
    # Without a name in any folder, the file is gone however the process ends, and with the last use of the table.
    with tempfile.TemporaryFile(dir=folder) as file:
        return DescriptorTable(count, dim, file)


@dataclass(frozen=True)
class Extractor:
    """Extracts descriptors of images.

    Attributes:
        accelerator: the processes that share the work.
        precision: "fp32", "bf16" or "fp16".
        batch_size: images in a batch of each process.
        num_workers: decoding threads of each process.
        shorter_side: what the shorter side of images is resized to, or their height and width; None for images as they
            are.
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
        """Extracts the descriptors of all images; every process must take part.

        Args:
            network: on the accelerator's device, with a `descriptor_dim`.
            places: the images.
            what: heading of the progress bar.
            source: cached images; None to read files.
            on_disk, folder: where the descriptors lie, as for `make_table`.

        Returns:
            The descriptors on the main process, None on the others.
        """
        source = source or ImageFiles(places, self.shorter_side)
        # Closed on an error too: its progress bar would stay, and the error's line stand behind it.
        with closing(self._stream(network, places, source, what)) as stream:
            if not self.accelerator.is_main_process:
                for _ in stream:
                    pass
                return None
            table = make_table(len(places), network.descriptor_dim, on_disk, folder)
            table.add(stream)
            return table

    def _stream(
        self, network: torch.nn.Module, places: Places, source: ImageFiles, what: str
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        accelerator = self.accelerator
        share = (accelerator.process_index, accelerator.num_processes)
        device = accelerator.device
        batches = image_batches(source, self.batch_size, self.num_workers, device, *share)
        extracted = extract(network, batches, device, self.precision)
        stream = gather(extracted, accelerator, self.batch_size, network.descriptor_dim)
        hidden = not accelerator.is_main_process
        with tqdm(desc=what, total=len(places), unit="img", leave=False, disable=hidden) as bar:
            try:
                for rows, descriptors in stream:
                    bar.update(len(rows))
                    yield rows, descriptors
            except ExtractionError as error:
                raise type(error)(f"{places.path(error.rows[0])}: {error}", error.rows, error.exit_code) from error
