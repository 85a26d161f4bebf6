"""Aggregations turn a feature map into one L2-normalised descriptor.

Adding one is a file here and a line in AGGREGATIONS. An aggregation is a module built with `(channels,
descriptor_dim)` that maps float (b, channels, h, w) to (b, descriptor_dim).
"""

from collections.abc import Callable

from torch import nn

from model.aggregation.gem import GeMAggregation

AGGREGATIONS: dict[str, Callable[[int, int], nn.Module]] = {"gem": GeMAggregation}
