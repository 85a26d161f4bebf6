"""CosPlace: places as classes, one classifier a group, groups in turn (https://arxiv.org/abs/2204.02287)."""

from collections.abc import Callable

import torch
from torch import nn

from datasets.grouping import Group


class CosPlace:
    """One classifier with its own optimizer for each group; only the current one is on the device."""

    def __init__(
        self, groups: list[Group], loss: Callable[[int, int], nn.Module], descriptor_dim: int, classifiers_lr: float
    ) -> None:
        """Args:
        groups: classes that are trained together.
        loss: builds a classification loss from (classes, descriptor_dim).
        descriptor_dim: length of a descriptor.
        classifiers_lr: Adam's learning rate for the classifiers.
        """
        self.groups = groups
        self.classifiers = [loss(len(group), descriptor_dim) for group in groups]
        self.optimizers = [torch.optim.Adam(c.parameters(), lr=classifiers_lr, fused=True) for c in self.classifiers]
        self.current = 0

    def begin_epoch(self, epoch: int, device: torch.device) -> Group:
        """Moves the classifier of this epoch's group to the device and returns the group."""
        self.current = epoch % len(self.groups)
        self._move(device)
        return self.groups[self.current]

    def end_epoch(self) -> None:
        """Takes the current classifier and its optimizer off the device."""
        self._move(torch.device("cpu"))

    def loss(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of float32 descriptors (b, d) with class numbers (b,)."""
        return self.classifiers[self.current](descriptors, labels)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The extra parameters that are trained in this epoch."""
        return list(self.classifiers[self.current].parameters())

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of `parameters`."""
        return self.optimizers[self.current]

    def _move(self, device: torch.device) -> None:
        self.classifiers[self.current].to(device)
        for state in self.optimizer.state.values():
            for name, value in state.items():
                state[name] = value.to(device)

    def state_dict(self) -> dict:
        """Returns all classifiers and optimizers."""
        return {
            "classifiers": [classifier.state_dict() for classifier in self.classifiers],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def load_state_dict(self, state: dict) -> None:
        """Restores what `state_dict` returned.

        Raises:
            RuntimeError, ValueError: if the groups have other numbers of classes.
        """
        for classifier, own in zip(self.classifiers, state["classifiers"], strict=True):
            classifier.load_state_dict(own)
        for optimizer, own in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)
