"""Communication between processes; with one process, all functions return at once."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, broadcast_object_list, gather_object

from commons.claims import FILE
from commons.errors import ArgumentError, PlacewiseError

PATIENCE_S = 30.0  # a shared file system may show a new file late


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


def check_same(what: str, value: Any, accelerator: Accelerator) -> None:
    """Compares a value of all processes; all of them call it.

    Raises:
        PlacewiseError: on every process, if one has another `what` than the main process.
    """
    values = gather_object([value]) if accelerator.num_processes > 1 else []
    for number, other in enumerate(values):
        if other != values[0]:
            raise PlacewiseError(
                f"process {number} has another {what} than process 0: all nodes need the same data, weights and flags"
            )


def check_shared(folder: Path, accelerator: Accelerator, parameter: str) -> None:
    """Checks that all processes see the folder that the main process has claimed.

    Raises:
        ArgumentError: on every process, if one does not.
    """
    if accelerator.num_processes == 1:
        return
    owner = from_main((folder / FILE).read_text(encoding="utf-8") if accelerator.is_main_process else None)
    seen = gather_object([_reads(folder / FILE, owner, time.monotonic() + PATIENCE_S)])
    if not all(seen):
        raise ArgumentError(
            parameter, f"process {seen.index(False)} does not see the {folder} of process 0: name a shared folder"
        )


def _reads(file: Path, text: str, end: float) -> bool:
    while not file.is_file() or file.read_text() != text:
        if time.monotonic() >= end:
            return False
        time.sleep(0.1)
    return True
