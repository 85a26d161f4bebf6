"""Ways to train. Adding one is a file here and a line in METHODS.

A method decides which images form a batch, which loss they get and which extra parts are trained. train.py knows no
method by name; for it a method is a class with

- `losses`: the registry that its loss is from, `losses.CLASSIFICATION` or `losses.METRIC`; empty if it looks at no
  labels: then no classes are made, and images need no position;
- `batches`: what its batches hold, for the message that refuses a loss;
- `defaults`: flags that have other defaults with it; `conflicts`: flags that do not go with it, and why;
- `check(batch_size, processes, **options)`, a static method: refuses batches that it cannot train with, before any
  file is read;
- a constructor that takes from `groups, loss, descriptor_dim, classifiers_lr, places, min_images_per_class` what it
  needs, by name. `loss` is what `losses.make_loss` returns. Keyword-only parameters are options on the command line
  (`commons.options`), the docstring is what --help_method prints;

and its instances with

- `sampler(batch_size, iterations, seed, rank, processes)`: draws the batches; refuses what the groups cannot fill;
- `begin_epoch(epoch, device)`: returns the groups that the sampler draws this epoch's batches from;
- `loss(descriptors, labels)`: the scalar loss of this process's share of a batch;
- `parameters` and `optimizers`: what is trained beside the network in this epoch;
- `end_epoch()`, `state_dict()`, `load_state_dict(state)`.
"""

from commons.errors import UsageError
from losses import METRIC
from methods.cosplace import CosPlace
from methods.eigenplaces import EigenPlaces
from methods.gsv import GSV
from methods.selfsup import SelfSupervised

METHODS = {"cosplace": CosPlace, "gsv": GSV, "eigenplaces": EigenPlaces, "selfsup": SelfSupervised}


def check_combination(method: str, loss: str) -> None:
    """Raises UsageError if the method cannot train with the loss, and names the nearest combinations that work."""
    kind = METHODS[method]
    if loss in kind.losses:
        return
    others = " or ".join(f"--method {name}" for name, other in METHODS.items() if loss in other.losses)
    needs = "compares images of one place" if loss in METRIC else "compares images with a classifier's classes"
    own = f"--loss {next(iter(kind.losses))}" if kind.losses else "no --loss"
    raise UsageError(
        f"--loss {loss} and --method {method} are in conflict: {loss} {needs}, and {kind.batches}; use {others} with "
        f"it, or {own} with --method {method}"
    )
