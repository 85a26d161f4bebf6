"""Shared by methods that contrast street photos with aerial images: batches, state, and what is trained beside."""

from typing import Any

import numpy as np
import torch
from torch import nn

from augmentations.pipeline import Augmentation
from commons.distributed import from_main
from commons.errors import UsageError
from datasets.places import Places
from datasets.samplers import GivenBatches
from methods.pair_batches import PairBatches


class PairContrast:
    """Batches of pairs of a photo and aerial images, and a loss of their descriptors.

    Attributes:
        places: the training photos.
        turned: whether panoramas are turned by any angle.
        parameters, optimizers: of the loss, such as a temperature.
    """

    def __init__(
        self,
        places: Places,
        aerial: Any,
        loss: nn.Module,
        describe: Any,
        chosen: Any,
        augment: Augmentation | None,
        seed: int = 0,
        lr: float = 1e-3,
        *,
        scan: int = 16,
        neighbours: int = 32,
    ) -> None:
        """Args:
        places: the training photos.
        aerial: where aerial images come from, with the `device` of the training.
        loss: loss of the registry losses.CROSS_VIEW.
        describe: as for `PairBatches`.
        chosen: settings of flags.cross_view.
        augment: augmentation of aerial images; None for none.
        seed: seed of the run.
        lr: learning rate of Adam for the parameters of the loss, such as a temperature.
        scan: batches that clusters are found in, in the second epoch; doubled with every epoch, at most to 4096.
        neighbours: neighbours of each pair, for --hard_examples neighbours and similarity.
        """
        self.places = places
        self.degrees = tuple(np.ascontiguousarray(column) for column in places.degrees)
        self.aerial, self.augment, self.chosen = aerial, augment, chosen
        self.pairs = PairBatches(chosen.hard_examples, self.degrees, describe, chosen.cell_size, scan, neighbours, seed)
        self._loss = loss.to(aerial.device)
        self.parameters = [parameter for parameter in loss.parameters() if parameter.requires_grad]
        self.optimizers = [torch.optim.Adam(self.parameters, lr=lr)] if self.parameters else []
        self._epoch, self._batches = -1, np.zeros((0, 0), np.int64)
        self._size = self._iterations = 0

    @property
    def turned(self) -> bool:
        """Whether panoramas are turned, as aerial images are."""
        return self.chosen.aerial_bearing == "random"

    @staticmethod
    def check(batch_size: int, processes: int = 1, **_: int) -> None:
        """Raises UsageError if a process gets fewer than two pairs, or the shares are not equal."""
        if batch_size % processes or batch_size < 2 * processes:
            raise UsageError(
                f"--batch_size {batch_size}: each of the {processes} process(es) compares its pairs with each other; "
                f"give a multiple of {processes}, at least {2 * processes}"
            )

    def sampler(self, batch_size: int, iterations: int, seed: int, rank: int = 0, processes: int = 1) -> GivenBatches:
        """Returns the sampler of the batches; labels are rows of images.

        Raises:
            ArgumentError: if there are too few places for a batch.
        """
        self.check(batch_size, processes)
        self.pairs.check(batch_size)
        self._size, self._iterations = batch_size, iterations
        return GivenBatches(seed, rank, processes, shifted=self.turned)

    def begin_epoch(self, epoch: int, device: torch.device) -> np.ndarray:
        """Returns the rows of photos in all batches of an epoch, int64 (iterations, batch_size)."""
        if epoch != self._epoch:
            # Of descriptors, the main process alone has all.
            drawn = self.pairs.draw(epoch, self._size, self._iterations)
            self._batches = from_main(drawn) if self.pairs.needs_descriptors(epoch) else drawn
            self._epoch = epoch
        return self._batches

    def _augmented(self, pyramids: torch.Tensor) -> torch.Tensor:
        """Returns float pyramids, in which all images of a place have the same change of colours."""
        count, levels, _, side, _ = pyramids.shape
        images = self.augment(pyramids.transpose(1, 2).reshape(count, 3, levels * side, side))
        return images.view(count, 3, levels, side, side).transpose(1, 2)

    def end_epoch(self) -> None:
        """Does nothing."""

    def state_dict(self) -> dict:
        """Returns the number of photos, the loss with its optimizer, and the batches of this epoch."""
        kept = self.pairs.needs_descriptors(self._epoch)
        return {
            "images": len(self.degrees[0]),
            "loss": self._loss.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "epoch": self._epoch if kept else -1,
            "batches": torch.from_numpy(self._batches) if kept else None,
        }

    def load_state_dict(self, state: dict) -> None:
        """Restores the state that `state_dict` returned.

        Raises:
            RuntimeError, ValueError: if the number of photos or the loss differ.
        """
        if state["images"] != len(self.degrees[0]):
            raise ValueError(
                f"the run started with {state['images']} training images, now there are {len(self.degrees[0])}"
            )
        self._loss.load_state_dict(state["loss"])
        for optimizer, own in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)
        self._epoch = state["epoch"]
        if state["batches"] is not None:
            self._batches = state["batches"].numpy()
