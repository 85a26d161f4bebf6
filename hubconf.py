"""torch.hub entry points: torch.hub.load("placewise/placewise", "cosplace", backbone="ResNet18", fc_output_dim=512)"""

dependencies = ["torch", "torchvision", "timm"]

import torch

from model.network import GeoLocalizationNet
from model.pretrained import load_network

COSPLACE_WEIGHTS = "https://github.com/gmberton/CosPlace/releases/download/v1.0/{}_{}_cosplace.pth"
COSPLACE_DIMENSIONS = {
    "VGG16": (64, 128, 256, 512),
    "ResNet18": (32, 64, 128, 256, 512),
    "ResNet50": (32, 64, 128, 256, 512, 1024, 2048),
    "ResNet101": (32, 64, 128, 256, 512, 1024, 2048),
    "ResNet152": (32, 64, 128, 256, 512, 1024, 2048),
}


def placewise(checkpoint: str) -> torch.nn.Module:
    """Returns the network of a checkpoint of train.py, in evaluation mode.

    Args:
        checkpoint: path of a best_model.pth or last_checkpoint.pth, or of a state dict of the reference implementation.
    """
    return load_network(checkpoint)[0].eval()


def cosplace(backbone: str = "ResNet50", fc_output_dim: int = 2048) -> torch.nn.Module:
    """Returns a network with the weights that CosPlace's authors published, trained on SF-XL, in evaluation mode.

    It takes images (b, 3, h, w) as uint8 or as float between 0 and 1, and normalises them itself.

    Args:
        backbone: VGG16 or a ResNet.
        fc_output_dim: dimension of the descriptor.

    Raises:
        ValueError: if no such weights were published.
    """
    if fc_output_dim not in COSPLACE_DIMENSIONS.get(backbone, ()):
        published = "; ".join(f"{name}: {', '.join(map(str, dims))}" for name, dims in COSPLACE_DIMENSIONS.items())
        raise ValueError(
            f"no weights were published for {backbone} with {fc_output_dim} dimensions, only for {published}"
        )
    network = GeoLocalizationNet(backbone, fc_output_dim)
    address = COSPLACE_WEIGHTS.format(backbone, fc_output_dim)
    network.load_state_dict(torch.hub.load_state_dict_from_url(address, map_location="cpu", weights_only=True))
    return network.eval()
