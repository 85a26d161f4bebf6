"""In-place compilation with torch.compile, and an early check that it works."""

import torch
from torch import nn
from torch._functorch import config as functorch_config

from commons.errors import ArgumentError, first_line


def check_compiler(device: torch.device, backend: str = "inductor") -> None:
    """Checks that torch.compile works by compiling a small function, which takes a few seconds.

    Raises:
        ArgumentError: if this machine cannot compile.
    """
    try:
        torch.compile(lambda x: torch.relu(2 * x + 1), backend=backend)(torch.ones(8, device=device))
    # Missing compilers, Triton or Python.h and unsupported platforms raise errors of different classes.
    except Exception as error:
        needs = "Triton and a C compiler" if device.type == "cuda" else "a C++ compiler"
        raise ArgumentError(
            "compile",
            f"torch.compile does not work here ({first_line(error)}); it needs {needs} and Python's headers; leave "
            "the argument out to run without compilation",
        ) from error


def compile_in_place(network: nn.Module, backend: str = "inductor") -> None:
    """Makes the network compile at its first batch. Its parameters and the keys of its state dict do not change.

    The first batch with a different number or size of images compiles it again, for any number and size.

    Args:
        network: network on its device.
        backend: as for torch.compile.
    """
    # By default, PyTorch traces the backward pass with the autocast of the forward pass, so layers that run in float32
    # (aggregations, depthwise layers on a CPU) would get bf16 gradients. Older versions do not have this setting.
    if hasattr(functorch_config, "backward_pass_autocast"):
        functorch_config.backward_pass_autocast = "off"
    network.compile(backend=backend)
