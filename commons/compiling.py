"""torch.compile in place, and an early check that it works."""

import torch
from torch import nn
from torch._functorch import config as functorch_config

from commons.errors import ArgumentError, first_line


def check_compiler(device: torch.device, backend: str = "inductor") -> None:
    """Compiles a tiny function, which takes seconds.

    Raises:
        ArgumentError: if this machine cannot compile.
    """
    try:
        torch.compile(lambda x: torch.relu(2 * x + 1), backend=backend)(torch.ones(8, device=device))
    # A missing compiler, Triton or Python.h and an unsupported platform each raise another class.
    except Exception as error:
        needs = "Triton and a C compiler" if device.type == "cuda" else "a C++ compiler"
        raise ArgumentError(
            "compile",
            f"torch.compile does not work here ({first_line(error)}); it needs {needs} and Python's headers; leave "
            "the argument out to run without compiling",
        ) from error


def compile_in_place(network: nn.Module, backend: str = "inductor") -> None:
    """Compiles the network at its first batch; parameters and keys of its state dict stay the same.

    The first batch with another number or size of images compiles it once more, for any number and size.

    Args:
        network: on its device.
        backend: as for torch.compile.
    """
    # PyTorch would trace the backward pass under the forward's autocast: what runs in float32 on purpose (aggregations,
    # depthwise layers on a CPU) would get bf16 gradients. Versions without this setting do.
    if hasattr(functorch_config, "backward_pass_autocast"):
        functorch_config.backward_pass_autocast = "off"
    network.compile(backend=backend)
