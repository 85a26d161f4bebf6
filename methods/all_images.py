"""Shared by methods without groups: batches are drawn from all images, pass after pass."""

import torch
from torch import nn

from datasets.unlabelled import ImageSampler


class AllImages:
    """Draws from all training images; nothing is trained beside the network.

    Attributes:
        images: number of training images.
        parameters, optimizers: of what is trained beside the network.
    """

    def __init__(self, images: int) -> None:
        self.images = images
        self.parameters: list[nn.Parameter] = []
        self.optimizers: list[torch.optim.Optimizer] = []

    @staticmethod
    def check(batch_size: int, processes: int = 1, **_: float) -> None:
        """Raises UsageError if the processes cannot share the batch equally."""
        ImageSampler(1, batch_size, 1, 0, 0, processes)

    def sampler(self, batch_size: int, iterations: int, seed: int, rank: int = 0, processes: int = 1) -> ImageSampler:
        """Returns the sampler of the batches; labels are rows of images."""
        return ImageSampler(self.images, batch_size, iterations, seed, rank, processes)

    def begin_epoch(self, epoch: int, device: torch.device) -> list:
        """Returns no groups: every epoch draws from all images."""
        return []

    def end_epoch(self) -> None:
        """Does nothing."""

    def state_dict(self) -> dict:
        """Returns the number of images, which a resumed run must have too."""
        return {"images": self.images}

    def load_state_dict(self, state: dict) -> None:
        """Raises ValueError if the number of images differs from `state`."""
        if state["images"] != self.images:
            raise ValueError(f"the run started with {state['images']} training images, now there are {self.images}")
