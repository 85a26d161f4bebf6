"""Checkpoints: written atomically, read without running code, on any device."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from commons.errors import PlacewiseError, first_line
from commons.files import atomic_path

# Under this name files of other formats carry the configuration, as JSON.
CONFIG = "placewise"


def save_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Writes `checkpoint` to `path` through a temporary file."""
    with atomic_path(path) as temporary:
        torch.save(checkpoint, temporary)


def save_safetensors(state: Mapping[str, torch.Tensor], config: Mapping[str, Any], path: Path) -> None:
    """Writes a state dict to `path` as safetensors, with the configuration in its header."""
    # Layers may share memory or lie in channels-last order, which the format does not know.
    tensors = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={CONFIG: to_json(config)})


def to_json(config: Mapping[str, Any]) -> str:
    """Returns a configuration as JSON; what JSON does not know becomes text."""
    return json.dumps(dict(config), default=str)


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint or a bare state dict onto the CPU, of PyTorch with weights_only=True or of safetensors.

    Raises:
        PlacewiseError: if there is no such file or it is no checkpoint.
    """
    if not Path(path).is_file():
        raise PlacewiseError(f"{path}: there is no such checkpoint")
    if Path(path).suffix == ".safetensors":
        return _load_safetensors(path)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise PlacewiseError(f"{path}: not a readable PyTorch checkpoint ({first_line(error)})") from error
    if not isinstance(checkpoint, dict):
        raise PlacewiseError(f"{path}: holds a {type(checkpoint).__name__}, not a checkpoint or a state dict")
    return checkpoint


def _load_safetensors(path: str | Path) -> dict[str, Any]:
    """Reads {"network": tensors, "config": configuration} of `save_safetensors`, or another file's bare tensors."""
    try:
        with safe_open(path, "pt") as file:
            config = (file.metadata() or {}).get(CONFIG)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
        return {"network": tensors, "config": json.loads(config)} if config else tensors
    except (SafetensorError, ValueError) as error:
        raise PlacewiseError(f"{path}: not a readable safetensors file ({first_line(error)})") from error
