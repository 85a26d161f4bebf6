"""Losses on two augmented views of the same images; they need no labels.

Adding one is a file here and a line in SELF_SUPERVISED: a module built with `(descriptor_dim, *, option=default, ...)`
whose `forward(first, second)` maps the unit descriptors (n, descriptor_dim) of both views, row by row of the same
image, to a scalar. Its keyword-only parameters are its options on the command line.

What goes in is the descriptor, and each loss looks at it through a projector of its own, which is dropped after
training. The losses that ask for variance (VICReg) would never be content with descriptors themselves: the components
of a unit vector of d dimensions cannot have a standard deviation above 1 / sqrt(d). The batch normalisation in the
projector takes that scale out. So any aggregation goes with any of these losses, and all of its layers are trained.

pytorch-metric-learning is imported in the constructors: it takes a second, and evaluation needs none of it.

In several processes each computes the loss of its own share of the batch, with the statistics of that share.
"""

from torch import nn

from losses.self_supervised.barlow_twins import BarlowTwins
from losses.self_supervised.simclr import SimCLR
from losses.self_supervised.vicreg import VICReg

SELF_SUPERVISED: dict[str, type[nn.Module]] = {"vicreg": VICReg, "barlow_twins": BarlowTwins, "simclr": SimCLR}
