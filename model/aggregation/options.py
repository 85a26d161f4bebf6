"""The help of an aggregation, and whether its options give the dimension of its descriptor."""

import inspect

import torch

from commons.options import help_text
from model.aggregation import AGGREGATIONS


def own_dimension(name: str) -> bool:
    """Whether the aggregation's options give the dimension of its descriptor, instead of a last linear layer."""
    return inspect.signature(AGGREGATIONS[name]).parameters["descriptor_dim"].default == 0


def aggregation_help(name: str) -> str:
    """Returns an aggregation's paper, formula, options and dimension as a text to print.

    Raises:
        ArgumentError: if there is no such aggregation.
    """
    text = help_text("aggregation", name, AGGREGATIONS)
    if not own_dimension(name):
        return f"{text}\n\nDescriptor: `fc_output_dim` dimensions; 0 for no linear layer."
    with torch.device("meta"):
        dimension = AGGREGATIONS[name](channels=512).descriptor_dim
    return f"{text}\n\nDescriptor: {dimension} dimensions by default; its options give the dimension."
