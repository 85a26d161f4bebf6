"""Losses.

Adding one is a file here and a line in LOSSES: a builder that takes (num_classes, descriptor_dim) and returns a module
loss(descriptors, labels).
"""

from collections.abc import Callable

from torch import nn

from losses.cosface import cosface

LOSSES: dict[str, Callable[..., nn.Module]] = {"cosface": cosface}
