"""Communication between processes; with one process, all functions return at once."""

from collections.abc import Iterable
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, broadcast_object_list


def average_gradients(parameters: Iterable[torch.nn.Parameter], accelerator: Accelerator) -> None:
    """Averages the gradients of parameters over processes, for parameters outside the wrapped network."""
    if accelerator.num_processes > 1:
        for parameter in parameters:
            parameter.grad = accelerator.reduce(parameter.grad, "mean")


def share_from_main(tensors: Iterable[torch.Tensor], accelerator: Accelerator) -> None:
    """Overwrites tensors with those of the main process."""
    if accelerator.num_processes > 1:
        for tensor in tensors:
            tensor.data.copy_(broadcast(tensor.data))


def any_process(flag: bool, accelerator: Accelerator) -> bool:
    """Returns whether the flag is set on any process."""
    if accelerator.num_processes == 1:
        return flag
    return bool(accelerator.reduce(torch.tensor(float(flag), device=accelerator.device), "sum") > 0)


def from_main(value: Any) -> Any:
    """Returns the value of the main process on every process."""
    return broadcast_object_list([value])[0]
