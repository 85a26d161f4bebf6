"""Losses that are added to the loss of any method: self-supervision on two views of each image, and adaptation."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import nn


class TargetImages(Protocol):
    """Batches of target images, uint8 (n, 3, h, w); `sampler.images` is the number of images."""

    sampler: Any

    def begin_epoch(self, epoch: int, start: int = 0) -> None: ...

    def __next__(self) -> torch.Tensor: ...


class Extras:
    """Losses on descriptors that need no labels, and image adaptations of the training images.

    One forward pass gets the batch, a second view of each of its images, and the same number of target images:

        loss = loss of the method + self_supervised_weight * loss on two views
            + adaptation_weight * sum of the losses of descriptor adaptations

    Second views and target images are left out if no loss uses them.
    """

    def __init__(
        self,
        losses: Mapping[str, nn.Module],
        weights: Mapping[str, float],
        views: str | None,
        image_adaptations: list[nn.Module],
        targets: TargetImages | None,
        lr: float,
        device: torch.device,
    ) -> None:
        """Args:
        losses: losses on two views or on the descriptors of two domains, by name.
        weights: weights of the losses, by name.
        views: name of the loss on two views, if any.
        image_adaptations: image adaptations, in the order in which they are applied.
        targets: batches of target images, as large as those of this process; None without adaptation.
        lr: learning rate of Adam for the parameters of the losses.
        device: device of the training.
        """
        self.losses = nn.ModuleDict(losses).to(device)
        self.weights, self.views, self.targets = weights, views, targets
        self.image_adaptations = image_adaptations
        self.domains = [name for name in losses if name != views]
        self.sums = {name: torch.zeros((), device=device) for name in losses}
        self.parameters = list(self.losses.parameters())
        self.optimizers = [torch.optim.Adam(self.parameters, lr=lr, fused=True)] if self.parameters else []

    def begin_epoch(self, epoch: int, start: int) -> None:
        """Moves to iteration `start` of an epoch; resets the sums of losses if `start` is 0."""
        if start == 0:
            self.sums = {name: torch.zeros_like(value) for name, value in self.sums.items()}
        if self.targets is not None:
            self.targets.begin_epoch(epoch, start)

    def images(self, images: torch.Tensor, augment: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Returns all images for the network, the augmented batch first.

        Args:
            images: uint8 (n, 3, h, w).
            augment: maps them to float (n, 3, h, w), with new random draws each time.
        """
        targets = None if self.targets is None else next(self.targets)
        for adapt in self.image_adaptations:
            images = adapt(images, targets)
        parts = [augment(images)]
        if self.views:
            parts.append(augment(images))
        if self.domains:
            parts.append(augment(targets))
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def loss(self, descriptors: torch.Tensor, batch_size: int, progress: float) -> torch.Tensor | float:
        """Returns the weighted sum of the losses, 0 without any.

        Args:
            descriptors: descriptors of the images that `images` returned; the first `batch_size` belong to the batch.
            batch_size: number of images in the batch.
            progress: completed share of the training, 0 to 1.
        """
        batch, *others = descriptors.split(batch_size)
        total = 0.0
        for name, loss in self.losses.items():
            # The order is: batch, second views, target images.
            value = loss(batch, others[0]) if name == self.views else loss(batch, others[-1], progress)
            self.sums[name] += value.detach()
            total = total + self.weights[name] * value
        return total

    def means(self, iterations: int) -> dict[str, float]:
        """Returns the mean of each loss over the `iterations` of this epoch so far."""
        return {name: float(value) / iterations for name, value in self.sums.items()}

    def state_dict(self) -> dict:
        """Returns the state of the losses and of their optimizer, the sums of the epoch and the number of targets."""
        return {
            "losses": self.losses.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "sums": {name: float(value) for name, value in self.sums.items()},
            "target_images": self._target_images(),
        }

    def load_state_dict(self, state: dict) -> None:
        """Restores the state that `state_dict` returned.

        Raises:
            RuntimeError, ValueError: if the losses or the number of target images differ.
        """
        if state["target_images"] != self._target_images():
            raise ValueError(
                f"the run started with {state['target_images']} target images, now there are {self._target_images()}"
            )
        self.losses.load_state_dict(state["losses"])
        for optimizer, own in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)
        for name, value in state["sums"].items():
            self.sums[name].fill_(value)

    def _target_images(self) -> int:
        return 0 if self.targets is None else self.targets.sampler.images
