"""What methods with classifiers have in common: one classifier and optimizer a group, groups in turn."""

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
        groups: what the sampler draws from, an entry for each classifier; epochs take them in turn.
        classifiers: modules whose parameters are trained.
        classifiers_lr: Adam's learning rate for the classifiers.
        """
        self.groups, self.classifiers = groups, classifiers
        self._optimizers = [torch.optim.Adam(c.parameters(), lr=classifiers_lr, fused=True) for c in classifiers]
        self.current = 0

    def begin_epoch(self, epoch: int, device: torch.device) -> Sequence[Group]:
        """Moves this epoch's classifier to the device and returns what to draw from."""
        self.current = epoch % len(self.groups)
        self._move(device)
        return self.groups[self.current]

    def end_epoch(self) -> None:
        """Takes the current classifier and its optimizer off the device."""
        self._move(torch.device("cpu"))

    @property
    def classifier(self) -> nn.Module:
        """The classifier of this epoch."""
        return self.classifiers[self.current]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The extra parameters that are trained in this epoch."""
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
        """Restores what `state_dict` returned.

        Raises:
            RuntimeError, ValueError: if the groups have other numbers of classes.
        """
        for classifier, own in zip(self.classifiers, state["classifiers"], strict=True):
            classifier.load_state_dict(own)
        for optimizer, own in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)
