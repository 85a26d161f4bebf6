"""Files of vocabularies for VLAD."""

import pickle
from pathlib import Path

import numpy as np
import torch

from commons.errors import PlacewiseError, first_line


def read_vocabulary(path: str | Path) -> torch.Tensor:
    """Reads the centres of a vocabulary, float32 (clusters, channels), without running code from the file.

    Args:
        path: a tensor that torch.save wrote, as AnyLoc's authors publish them, or an array (.npy).

    Raises:
        PlacewiseError: if the file does not exist or holds no such tensor.
    """
    if not Path(path).is_file():
        raise PlacewiseError(f"{path}: there is no such file")
    try:
        if Path(path).suffix == ".npy":
            centres = torch.from_numpy(np.load(path, allow_pickle=False))
        else:
            centres = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError) as error:
        raise PlacewiseError(f"{path}: not a readable vocabulary ({first_line(error)})") from error
    if not isinstance(centres, torch.Tensor) or centres.ndim != 2 or not centres.is_floating_point():
        kind = f"{tuple(centres.shape)}" if isinstance(centres, torch.Tensor) else type(centres).__name__
        raise PlacewiseError(f"{path}: contains {kind}, not the centres of a vocabulary, (clusters, channels)")
    if not centres.isfinite().all():
        raise PlacewiseError(f"{path}: its centres contain NaN or inf")
    return centres.float()
