"""Training methods. To add a method, add a file to this folder and a line to METHODS.

A method decides which images form a batch, how their loss is computed and which parameters are trained in addition to
the network. It is a class with

- `task`: the name of its task in `tasks.TASKS`;
- `labelled`: whether its training images need positions;
- `own_loss`: whether the method computes a loss; if not, `--self_supervised_weight` must be above 0;
- `losses`: the registry of --loss, `losses.CLASSIFICATION`, `METRIC` or `CROSS_VIEW`; empty for none;
- `batches`: the contents of a batch, for the error message about an unsuitable loss;
- `defaults`: flags whose defaults differ with this method; `conflicts`: flags that cannot be used with it, and why;
- `check(batch_size, processes, **options)`, a static method: raises an error if the method cannot train with these
  batches, before any file is read;
- `build(settings, images, descriptor_dim, task)`, a class method: builds the method from the settings of train.py, the
  training images that its task has read, the dimension of the network's outputs, and the task. Keyword-only parameters
  of the constructor are options on the command line (`commons.options`); --help_method prints the docstring;

and its instances have

- `sampler(batch_size, iterations, seed, rank, processes)`: draws the batches; raises an error if the groups cannot fill
  a batch;
- `begin_epoch(epoch, device)`: returns the groups from which the sampler draws the batches of this epoch;
- `loss(descriptors, labels)`: the scalar loss of this process's part of a batch;
- `inputs(pictures, labels)`, if the network sees more than the pictures of a batch: all of its arguments;
- `parameters` and `optimizers`: the additional parameters trained in this epoch, and their optimizers;
- `end_epoch()`, `state_dict()`, `load_state_dict(state)`.
"""

from commons.registry import Registry

METHODS = Registry(
    {
        "cosplace": "methods.cosplace:CosPlace",
        "gsv": "methods.gsv:GSV",
        "eigenplaces": "methods.eigenplaces:EigenPlaces",
        "selfsup": "methods.selfsup:SelfSupervised",
        "cells": "methods.cells:CellClassification",
        "location_embedding": "methods.location_embedding:LocationEmbedding",
        "geoclip": "methods.location_embedding:GeoClipTraining",
        "street_to_aerial": "methods.street_to_aerial:StreetToAerial",
        "location_decoder": "methods.location_decoder:LocationDecoding",
    }
)
