"""Losses on two augmented views of the same images; they need no labels.

Adding one is a file here and a line in SELF_SUPERVISED: a module built with `(descriptor_dim, *, option=default, ...)`
whose `forward(first, second)` maps the unit descriptors (n, descriptor_dim) of both views, row by row of the same
image, to a scalar. Its keyword-only parameters are its options on the command line.

Each loss gets descriptors through a projector of its own, which is dropped after training. The projector is needed by
losses that ask for variance (VICReg): the components of a unit vector of d dimensions cannot have a standard deviation
above 1 / sqrt(d), and the batch normalisation in the projector removes that scale. So any aggregation works with any
of these losses, and all layers of the aggregation are trained.

With several processes, each computes the loss of its own share of the batch, with the statistics of that share.
"""

from commons.registry import Registry

SELF_SUPERVISED = Registry(
    {
        "vicreg": "losses.self_supervised.vicreg:VICReg",
        "barlow_twins": "losses.self_supervised.barlow_twins:BarlowTwins",
        "simclr": "losses.self_supervised.simclr:SimCLR",
    }
)
