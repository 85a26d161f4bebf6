"""Ways to train. Adding one is a file here and a line in METHODS.

A method decides which images form a batch, which loss they get and which parts are trained beside the network. It is a
class with

- `task`: the name of its task in `tasks.TASKS`;
- `labelled`: whether its training images need positions;
- `own_loss`: whether it has a loss of its own; if not, `--self_supervised_weight` must be above 0;
- `losses`: the registry that --loss chooses from, `losses.CLASSIFICATION` or `losses.METRIC`; empty for none;
- `batches`: what its batches hold, for the message that refuses a loss;
- `defaults`: flags that have other defaults with it; `conflicts`: flags that do not go with it, and why;
- `check(batch_size, processes, **options)`, a static method: refuses batches that it cannot train with, before any
  file is read;
- `build(settings, images, descriptor_dim)`, a class method: makes one from the settings of train.py, the training
  images that its task has read, and the dimension of the network's descriptors. Keyword-only parameters of the
  constructor are options on the command line (`commons.options`); the docstring is what --help_method prints;

and its instances with

- `sampler(batch_size, iterations, seed, rank, processes)`: draws the batches; refuses what the groups cannot fill;
- `begin_epoch(epoch, device)`: returns the groups from which the sampler draws the batches of this epoch;
- `loss(descriptors, labels)`: the scalar loss of this process's part of a batch;
- `parameters` and `optimizers`: what is trained beside the network in this epoch;
- `end_epoch()`, `state_dict()`, `load_state_dict(state)`.
"""

from commons.registry import Registry

METHODS = Registry(
    {
        "cosplace": "methods.cosplace:CosPlace",
        "gsv": "methods.gsv:GSV",
        "eigenplaces": "methods.eigenplaces:EigenPlaces",
        "selfsup": "methods.selfsup:SelfSupervised",
    }
)
