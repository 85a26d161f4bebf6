"""Checkpoints: written atomically, read without running code, on any device."""

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from commons.errors import PlacewiseError, first_line
from commons.files import atomic_path

UNREADABLE = (
    SafetensorError,
    RuntimeError,
    EOFError,
    ValueError,
    KeyError,
    AttributeError,
)


def save_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Writes `checkpoint` to `path` through a temporary file."""
    with atomic_path(path) as temporary:
        torch.save(checkpoint, temporary)


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint or a bare state dict onto the CPU with weights_only=True, or a .safetensors file.

    Raises:
        PlacewiseError: if there is no such file or it is no checkpoint.
    """
    if not Path(path).is_file():
        raise PlacewiseError(f"{path}: there is no such checkpoint")
    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        foreign = re.search(r"GLOBAL (\S+)", str(error))
        if foreign is None:
            raise PlacewiseError(f"{path}: not a readable PyTorch checkpoint") from error
        raise PlacewiseError(
            f"{path}: holds a {foreign[1]} beside tensors, and reading that can run code: if you trust the file, read "
            "it with torch.load(weights_only=False) and save its state dict alone"
        ) from error
    except UNREADABLE as error:
        raise PlacewiseError(f"{path}: not a readable PyTorch checkpoint ({first_line(error)})") from error
    if not isinstance(checkpoint, dict):
        raise PlacewiseError(f"{path}: holds a {type(checkpoint).__name__}, not a checkpoint or a state dict")
    return checkpoint
