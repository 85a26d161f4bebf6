"""NetVLAD's published MATLAB files, read without running anything in them."""

import numpy as np
import torch
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from commons.errors import PlacewiseError
from model.published.entry import State
from model.published.netvlad_sizes import CHANNELS, CLUSTERS, MEAN

# The children of torchvision's VGG16 that are convolutions, in order.
CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def read(path: str, whitened: bool) -> State:
    """Reads the network out of a MATLAB file.

    Args:
        path: the file.
        whitened: whether to add the layer that projects to 4096 whitened dimensions.

    Returns:
        State dict with our names. Published vectors are ordered by channel and then by cluster, ours by cluster and
        then by channel, so the columns of the whitening layer are reordered.

    Raises:
        PlacewiseError: if the file is no such file, or is made for another normalisation of images.
    """
    try:
        network = loadmat(path, variable_names=["net"], struct_as_record=False, squeeze_me=True)["net"]
        mean = np.reshape(network.meta.normalization.averageImage, (-1, 3))[0]
        # By their order, because the names of layers differ between files of this network.
        weights = [layer.weights for layer in network.layers if np.size(getattr(layer, "weights", ()))]
        *convolutions, (assignment, minus_centroids), whitening = weights
        state = {}
        for number, (weight, bias) in zip(CONVOLUTIONS, convolutions, strict=True):
            state[f"backbone.{number}.weight"] = _tensor(weight).permute(3, 2, 0, 1)
            state[f"backbone.{number}.bias"] = _tensor(bias)
        state["aggregation.conv.weight"] = _tensor(assignment).T[..., None, None]
        state["aggregation.centroids"] = -_tensor(minus_centroids).T
        if whitened:
            weight, bias = whitening
            outputs = _tensor(weight).T
            outputs = outputs.unflatten(1, (CHANNELS, CLUSTERS)).transpose(1, 2).flatten(1)
            state |= {"aggregation.fc.weight": outputs, "aggregation.fc.bias": _tensor(bias)}
    except (MatReadError, NotImplementedError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise PlacewiseError(f"{path}: not a MATLAB file of NetVLAD ({error})") from error
    if not np.allclose(mean, MEAN, atol=1e-3):
        raise PlacewiseError(
            f"{path}: its network needs images with the mean {mean.tolist()}, not NetVLAD's {list(MEAN)}"
        )
    return state


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))
