"""Losses that are added to those of any method: self-supervision on two views of each image, and domain adaptation."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import nn


class TargetImages(Protocol):
    """Batches of target images, uint8 (n, 3, h, w); `sampler.images` is how many images there are."""

    sampler: Any

    def begin_epoch(self, epoch: int, start: int = 0) -> None: ...

    def __next__(self) -> torch.Tensor: ...


class Extras:
    """Losses on descriptors that need no labels, and image adaptations of the training images.

    The network gets the batch, a second view of each of its images, and as many target images, all in one pass:

        loss = method's + self_supervised_weight * two views' + adaptation_weight * sum of the descriptor adaptations'

    Without any of them the network gets the batch alone.
    """

    def __init__(
        self,
        losses: Mapping[str, nn.Module],
        weights: Mapping[str, float],
        views: str | None,
        looks: list[nn.Module],
        targets: TargetImages | None,
        lr: float,
        device: torch.device,
    ) -> None:
        """Args:
        losses: on two views or on the descriptors of two domains, by name.
        weights: of the losses.
        views: name of the loss on two views, if any.
        looks: image adaptations, in the order they are applied.
        targets: target images, batches as large as those of this process; None without adaptation.
        lr: Adam's learning rate for the parameters of the losses.
        device: of the training.
        """
        self.losses = nn.ModuleDict(losses).to(device)
        self.weights, self.views, self.looks, self.targets = weights, views, looks, targets
        self.domains = [name for name in losses if name != views]
        self.sums = {name: torch.zeros((), device=device) for name in losses}
        self.parameters = list(self.losses.parameters())
        self.optimizers = [torch.optim.Adam(self.parameters, lr=lr, fused=True)] if self.parameters else []

    def begin_epoch(self, epoch: int, start: int) -> None:
        """Goes to iteration `start` of an epoch; at its beginning, sums of losses are reset."""
        if start == 0:
            self.sums = {name: torch.zeros_like(value) for name, value in self.sums.items()}
        if self.targets is not None:
            self.targets.begin_epoch(epoch, start)

    def images(self, images: torch.Tensor, augment: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Returns all images that the network gets, the augmented batch first.

        Args:
            images: uint8 (n, 3, h, w).
            augment: maps them to float (n, 3, h, w), with new random draws each time.
        """
        targets = None if self.targets is None else next(self.targets)
        for look in self.looks:
            images = look(images, targets)
        parts = [augment(images)]
        if self.views:
            parts.append(augment(images))
        if self.domains:
            parts.append(augment(targets))
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def loss(self, descriptors: torch.Tensor, batch_size: int, progress: float) -> torch.Tensor | float:
        """Returns the weighted sum of the losses, 0 without any.

        Args:
            descriptors: of what `images` returned; the first `batch_size` belong to the batch.
            batch_size: n.
            progress: share of the training that is done.
        """
        batch, *others = descriptors.split(batch_size)
        total = 0.0
        for name, loss in self.losses.items():
            # Second views come right after the batch, target images last.
            value = loss(batch, others[0]) if name == self.views else loss(batch, others[-1], progress)
            self.sums[name] += value.detach()
            total = total + self.weights[name] * value
        return total

    def means(self, iterations: int) -> dict[str, float]:
        """Returns each loss's mean over the `iterations` of this epoch so far."""
        return {name: float(value) / iterations for name, value in self.sums.items()}

    def state_dict(self) -> dict:
        """Returns the parameters of the losses, their optimizer, and the sums of the epoch."""
        return {
            "losses": self.losses.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "sums": {name: float(value) for name, value in self.sums.items()},
            "target_images": self._target_images(),
        }

    def load_state_dict(self, state: dict) -> None:
        """Restores what `state_dict` returned.

        Raises:
            RuntimeError, ValueError: if the state belongs to other losses or other target images.
        """
        if state["target_images"] != self._target_images():
            raise ValueError(
                f"there were {state['target_images']} target images, now there are {self._target_images()}"
            )
        self.losses.load_state_dict(state["losses"])
        for optimizer, own in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)
        for name, value in state["sums"].items():
            self.sums[name].fill_(value)

    def _target_images(self) -> int:
        return 0 if self.targets is None else self.targets.sampler.images
