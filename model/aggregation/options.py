"""What an aggregation says of itself: its options and the dimension of its descriptor."""

import inspect

import torch

from commons.options import describe
from model.aggregation import AGGREGATIONS


def own_dimension(name: str) -> bool:
    """Whether the aggregation's options give its descriptor's dimension, instead of a last linear layer."""
    return inspect.signature(AGGREGATIONS[name]).parameters["descriptor_dim"].default == 0


def describe_aggregation(name: str) -> str:
    """Returns an aggregation's paper, formula, options and dimension as a text to print."""
    text = describe("aggregation", name, AGGREGATIONS)
    if not own_dimension(name):
        return f"{text}\n\nDescriptor: as many dimensions as --fc_output_dim says, 0 for no linear layer."
    with torch.device("meta"):
        dimension = AGGREGATIONS[name](channels=512).descriptor_dim
    return f"{text}\n\nDescriptor: {dimension} dimensions by default, as its options say."
