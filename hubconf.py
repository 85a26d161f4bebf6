"""torch.hub entry points: torch.hub.load("/path/to/placewise", "published", "cosplace-resnet18-512", source="local")"""

dependencies = ["torch", "torchvision", "timm", "faiss", "safetensors", "scipy"]

import torch

from commons.errors import ArgumentError
from model.pretrained import load_network
from model.published.weights import find_published, load_published


def placewise(checkpoint: str) -> torch.nn.Module:
    """Returns the network of a checkpoint of train.py, in evaluation mode.

    Args:
        checkpoint: path of best_model.pth, last_checkpoint.pth or a state dict of the reference implementation.
    """
    return load_network(checkpoint)[0].eval()


def published(name: str = "cosplace", file: str | None = None) -> torch.nn.Module:
    """Returns a network with the weights that its authors published, in evaluation mode.

    The network takes images (b, 3, h, w) as uint8 or as float in [0, 1], and normalizes them.

    Args:
        name: a name of docs/published.md.
        file: path of the published file; None to download it.

    Raises:
        ArgumentError: if the name is unknown, or the network needs a vocabulary that only eval.py can fit.
        PlacewiseError: if the weights cannot be downloaded.
    """
    network = load_published(find_published(name), file)[0].eval()
    if not getattr(network.aggregation, "given", True):
        raise ArgumentError("name", f"{name} has no vocabulary: choose anyloc-urban, or give the `file` of one")
    return network


def cosplace(backbone: str = "ResNet50", fc_output_dim: int = 2048) -> torch.nn.Module:
    """Returns the published CosPlace network with this backbone (VGG16 or a ResNet) and descriptor dimension."""
    return published(f"cosplace-{backbone}-{fc_output_dim}")
