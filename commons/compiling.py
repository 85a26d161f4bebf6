"""torch.compile, in place and checked before it is needed."""

import torch
from torch import nn
from torch._functorch import config as functorch_config

from commons.errors import UsageError, first_line


def check_compiler(device: torch.device, backend: str = "inductor") -> None:
    """Compiles a tiny function, which takes seconds.

    Raises:
        UsageError: if this machine cannot compile.
    """
    try:
        torch.compile(lambda x: torch.relu(2 * x + 1), backend=backend)(torch.ones(8, device=device))
    # A missing compiler, Triton, Python.h or platform each raise something else: all mean that it cannot be had.
    except Exception as error:
        needs = "Triton and a C compiler" if device.type == "cuda" else "a C++ compiler"
        raise UsageError(
            f"--compile: torch.compile does not work here ({first_line(error)}); it needs {needs} and Python's "
            "headers; leave it out to go on without"
        ) from error


def compile_in_place(network: nn.Module, backend: str = "inductor") -> None:
    """Has the network compiled at its first batch; parameters and keys of its state dict stay as they are.

    The first batch of another number or size of images is compiled once more, for any number or size.

    Args:
        network: on its device.
        backend: as for torch.compile.
    """
    # PyTorch would trace the backward pass under the forward's autocast: what runs in float32 on purpose (aggregations,
    # depthwise layers on a CPU) would get bf16 gradients. Versions without this setting do.
    if hasattr(functorch_config, "backward_pass_autocast"):
        functorch_config.backward_pass_autocast = "off"
    network.compile(backend=backend)
