"""Optimizers by name: PyTorch's, and timm's where PyTorch has none."""

import ast
import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from timm.optim import create_optimizer_v2, get_optimizer_class, get_optimizer_info, list_optimizers
from torch import nn

from commons.errors import ArgumentError, did_you_mean, first_line
from commons.options import check_name

# LBFGS needs the loss as a function, SparseAdam sparse gradients, Rprop the whole data set at once. PyTorch's Muon
# takes matrices only, timm's all parameters.
UNFIT = {"lbfgs", "sparseadam", "rprop", "muon"}
TORCH = {
    name.lower(): kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and kind is not torch.optim.Optimizer and name.lower() not in UNFIT
}
# These need packages (apex, bitsandbytes) or second derivatives.
TIMM = [
    name
    for name in list_optimizers(exclude_filters=["fused*", "bnb*"])
    if name not in TORCH and not get_optimizer_info(name).second_order
]
OPTIMIZERS = sorted([*TORCH, *TIMM])
# Parameters that transformers add to their features get no weight decay, as in timm's `no_weight_decay`.
WITHOUT_DECAY = {"cls_token", "class_token", "reg_token", "pos_embed", "pos_embedding", "relative_position_bias_table"}
# Set by other arguments, or they change the meaning of a step.
RESERVED = {"self", "params", "lr", "weight_decay", "foreach", "fused", "maximize", "capturable", "differentiable"}


def check_optimizer(name: str, options: Mapping[str, Any]) -> None:
    """Raises ArgumentError if there is no such optimizer, or it has no such option, or a value is out of range."""
    check_name("optimizer", name, OPTIMIZERS)
    known = [key for key in inspect.signature(_kind(name)).parameters if key not in RESERVED]
    for key in options:
        if key not in known:
            hint = did_you_mean(key, known)
            raise ArgumentError(
                "optimizer_options", f"{name} has no option {key}{hint}; its options are {', '.join(known)}"
            )
    layer = nn.Linear(2, 2)
    optimizer = build_optimizer(layer, name, options=options)
    if not options:
        return
    layer(torch.ones(1, 2)).sum().backward()
    try:
        optimizer.step()
    except Exception as error:  # many of timm's check a value only here
        raise _refused(name, options, error) from error


def read_optimizer_options(given: Mapping[str, str]) -> dict[str, Any]:
    """Reads values such as 0.9, true or 0.9:0.95 from text.

    Raises:
        ArgumentError: if a value is none of these.
    """
    options = {}
    for key, text in given.items():
        try:
            values = [ast.literal_eval({"true": "True", "false": "False"}.get(part, part)) for part in text.split(":")]
        except (ValueError, SyntaxError):
            raise ArgumentError("optimizer_options", f"{key}={text} is not a number, true, false or a:b") from None
        options[key] = values[0] if len(values) == 1 else tuple(values)
    return options


def build_optimizer(
    network: nn.Module,
    name: str = "adam",
    lr: float = 1e-5,
    weight_decay: float = 0.0,
    layer_decay: float = 1.0,
    options: Mapping[str, Any] | None = None,
    head_lr: float | None = None,
) -> torch.optim.Optimizer:
    """Builds the optimizer of a network's trained parameters.

    Args:
        network: network with a `backbone`, or several `backbones`, with `blocks()` if layer_decay is below 1.
        name: one of OPTIMIZERS.
        lr: learning rate.
        weight_decay: weight decay; not applied to norms, biases, scales, tokens and position embeddings.
        layer_decay: factor of the learning rate from each block of the backbone to the one before it.
        options: further keyword arguments of the optimizer.
        head_lr: learning rate of the network's `head`, if it has one; None for `lr`.

    Raises:
        ArgumentError: if the optimizer does not accept a value.
    """
    groups = parameter_groups(network, lr, weight_decay, layer_decay, head_lr)
    options = dict(options or {})
    if name in ("adam", "adamw", "sgd"):
        options["fused"] = True
    if name.startswith("kron"):
        options.setdefault("deterministic", True)  # its noise must be the same in every process
    build = TORCH[name] if name in TORCH else partial(create_optimizer_v2, opt=name)
    try:
        return build(groups, lr=lr, weight_decay=weight_decay, **options)
    except (ValueError, TypeError, AssertionError) as error:
        raise _refused(name, options, error) from error


def parameter_groups(
    network: nn.Module,
    lr: float,
    weight_decay: float = 0.0,
    layer_decay: float = 1.0,
    head_lr: float | None = None,
) -> list[dict[str, Any]]:
    """Sorts the trained parameters into groups of equal learning rate and weight decay, in the network's order.

    With n blocks, block i from the input on (1 to n) learns at lr * layer_decay^(n - i + 1), all the rest at lr
    (https://arxiv.org/abs/2106.08254, appendix; https://arxiv.org/abs/2003.10555).

    Args:
        network, lr, weight_decay, layer_decay, head_lr: as for `build_optimizer`.

    Returns:
        Dictionaries with "params", "lr" and "weight_decay".
    """
    depths = _depths(network) if layer_decay != 1 else {}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            own = head_lr if head_lr is not None and name.startswith("head.") else lr
            rate = own * layer_decay ** depths.get(id(parameter), 0)
            is_vector = sum(side > 1 for side in parameter.shape) < 2
            decay = 0.0 if is_vector or name.rpartition(".")[2] in WITHOUT_DECAY else weight_decay
            groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": own, "lr": rate, "weight_decay": decay} for (rate, decay), own in groups.items()]


def _depths(network: nn.Module) -> dict[int, int]:
    """How many blocks before the aggregation each parameter of the backbone's blocks stands."""
    depths = {}
    for backbone in getattr(network, "backbones", None) or [network.backbone]:
        blocks = backbone.blocks().values()
        depths |= {id(parameter): len(blocks) - i for i, block in enumerate(blocks) for parameter in block}
    return depths


def _refused(name: str, options: Mapping[str, Any], error: Exception) -> ArgumentError:
    given = ",".join(f"{key}={value}" for key, value in options.items()) or "its defaults"
    return ArgumentError("optimizer_options", f"`optimizer` {name} does not accept {given}: {first_line(error)}")


def _kind(name: str) -> type[torch.optim.Optimizer]:
    return TORCH[name] if name in TORCH else get_optimizer_class(name, bind_defaults=False)
