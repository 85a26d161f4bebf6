"""Shared by methods with classifiers: each group has a classifier and an optimizer, and epochs alternate groups."""

from collections.abc import Sequence

import torch
from torch import nn

from datasets.grouping import Group


class ClassifierPerGroup:
    """Keeps a classifier with its own optimizer for each group; only the current one is on the device."""

    def __init__(
        self, groups: Sequence[Sequence[Group]], classifiers: Sequence[nn.Module], classifiers_lr: float
    ) -> None:
        """Args:
        groups: groups that the sampler draws from, one entry per classifier; each epoch uses the next entry.
        classifiers: modules to train.
        classifiers_lr: learning rate of Adam for the classifiers.
        """
        self.groups, self.classifiers = groups, classifiers
        self._optimizers = [torch.optim.Adam(c.parameters(), lr=classifiers_lr, fused=True) for c in classifiers]
        self.current = 0

    def begin_epoch(self, epoch: int, device: torch.device) -> Sequence[Group]:
        """Moves the classifier of this epoch to the device and returns the groups to draw from."""
        self.current = epoch % len(self.groups)
        self._move(device)
        return self.groups[self.current]

    def end_epoch(self) -> None:
        """Moves the current classifier and its optimizer to the CPU."""
        self._move(torch.device("cpu"))

    @property
    def classifier(self) -> nn.Module:
        """The classifier of this epoch."""
        return self.classifiers[self.current]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The additional parameters that are trained in this epoch."""
        return list(self.classifier.parameters())

    @property
    def optimizers(self) -> list[torch.optim.Optimizer]:
        """The optimizers of `parameters`."""
        return [self._optimizers[self.current]]

    def _move(self, device: torch.device) -> None:
        self.classifier.to(device)
        for state in self._optimizers[self.current].state.values():
            for name, value in state.items():
                state[name] = value.to(device)

    def state_dict(self) -> dict:
        """Returns all classifiers and optimizers."""
        return {
            "classifiers": [classifier.state_dict() for classifier in self.classifiers],
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
        }

    def load_state_dict(self, state: dict) -> None:
        """Restores the state that `state_dict` returned.

        Raises:
            RuntimeError, ValueError: if the numbers of classes differ.
        """
        for classifier, own in zip(self.classifiers, state["classifiers"], strict=True):
            classifier.load_state_dict(own)
        for optimizer, own in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)
