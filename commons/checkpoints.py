"""Checkpoints, written atomically and read without running code from the file."""

import hashlib
import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from commons.errors import PlacewiseError, first_line
from commons.files import atomic_path

# The name under which files of other formats store the configuration as JSON.
CONFIG = "placewise"
# NumPy numbers, such as the best recall in checkpoints of CosPlace, are safe to load: they run no code.
_SCALAR = np.float64(0).__reduce__()[0]
NUMPY_SCALARS = [
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    np.dtype,
    *(type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")),
]


def save_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Writes `checkpoint` to `path` atomically."""
    with atomic_path(path) as temporary:
        torch.save(checkpoint, temporary)


def save_safetensors(state: Mapping[str, torch.Tensor], config: Mapping[str, Any], path: Path) -> None:
    """Writes a state dict to `path` as safetensors, with the configuration in its header."""
    # The format does not support shared memory or channels-last order.
    tensors = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={CONFIG: to_json(config)})


def to_json(config: Mapping[str, Any]) -> str:
    """Returns a configuration as JSON. Tensors become lists, other types that JSON does not support become text."""
    return json.dumps(dict(config), default=lambda value: value.tolist() if torch.is_tensor(value) else str(value))


def from_json(text: str) -> dict[str, Any]:
    """Returns the configuration that `to_json` wrote, with the fingerprints of `targets` as tensors."""
    config = json.loads(text)
    targets = config.get("targets") or {}
    return config | {"targets": {folder: torch.tensor(prints) for folder, prints in targets.items()}}


def load_checkpoint(path: str | Path, mapped: bool = False) -> dict[str, Any]:
    """Reads a checkpoint or a bare state dict to the CPU: PyTorch files with weights_only=True, or safetensors.

    Args:
        path: path of the file.
        mapped: whether tensors stay in the file until they are used, for readers of the other entries.

    Raises:
        PlacewiseError: if the file does not exist or is not a checkpoint.
    """
    if not Path(path).is_file():
        raise PlacewiseError(f"{path}: there is no such checkpoint")
    if Path(path).suffix == ".safetensors":
        return _load_safetensors(path)
    try:
        with torch.serialization.safe_globals(NUMPY_SCALARS):
            mapped = mapped and zipfile.is_zipfile(path)
            checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        foreign = re.search(r"GLOBAL (\S+)", str(error))
        if foreign is None:
            raise PlacewiseError(f"{path}: not a readable PyTorch checkpoint") from error
        raise PlacewiseError(
            f"{path}: contains a {foreign[1]} in addition to tensors, and reading it can run code; if you trust the "
            "file, read it with torch.load(weights_only=False) and save only its state dict"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise PlacewiseError(f"{path}: is not a readable PyTorch checkpoint ({first_line(error)})") from error
    if not isinstance(checkpoint, dict):
        raise PlacewiseError(f"{path}: contains a {type(checkpoint).__name__}, not a checkpoint or a state dict")
    return checkpoint


def _load_safetensors(path: str | Path) -> dict[str, Any]:
    """Returns {"network", "config", "targets"} of a file of `save_safetensors`, or the tensors of another file."""
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(CONFIG)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
        if text is None:
            return tensors
        config = from_json(text)
        return {"network": tensors, "targets": config.pop("targets"), "config": config}
    except (SafetensorError, ValueError) as error:
        raise PlacewiseError(f"{path}: not a readable safetensors file ({first_line(error)})") from error


def network_fingerprint(network: torch.nn.Module) -> str:
    """Returns a hash of the names and values of a network's weights."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
