"""Losses. Adding one is a file here and a line in LOSSES: a builder of a module loss(descriptors, labels) with a weight a class."""

from collections.abc import Callable

from torch import nn

from losses.cosface import cosface

LOSSES: dict[str, Callable[..., nn.Module]] = {"cosface": cosface}
