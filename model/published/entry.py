"""What Placewise knows of published weights, and the names that their tensors get here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

State = dict[str, "torch.Tensor"]
# Children of a whole torchvision ResNet, numbered as in `model.backbones.TorchvisionBackbone`.
RESNET_CHILDREN = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}


def as_it_is(state: State) -> State:
    """Returns the state dict: its tensors have our names."""
    return state


@dataclass(frozen=True)
class Published:
    """Weights that the authors of a paper publish.

    Attributes:
        network: what `GeoLocalizationNet` is built with.
        file: name of the file in torch's hub cache.
        page: address that a browser opens, and that a person downloads from.
        test_side: authors resize test images to squares of this side; None where they leave them as they are.
        address: of the file itself; "" where only people can get it.
        convert: makes our state dict of the published one.
        read: makes a state dict of a file that is neither torch's nor safetensors'.
    """

    network: dict[str, object]
    file: str
    page: str
    test_side: int | None
    address: str = ""
    convert: Callable[[State], State] = as_it_is
    read: Callable[[str], State] | None = None


def rename(state: State, prefixes: dict[str, str | None]) -> State:
    """Exchanges the beginnings of the tensors' names; those that begin with none of them stay as they are.

    Args:
        state: tensors by name.
        prefixes: beginnings and what takes their place; None leaves the tensor out. The first that fits counts.
    """
    renamed = {}
    for name, tensor in state.items():
        old = next((prefix for prefix in prefixes if name.startswith(prefix)), "")
        new = prefixes.get(old, "")
        if new is not None:
            renamed[new + name.removeprefix(old)] = tensor
    return renamed


def resnet(prefix: str) -> dict[str, str]:
    """Returns the prefixes of a torchvision ResNet that stands at `prefix`, and what they are here."""
    return {f"{prefix}{child}.": f"backbone.{number}." for child, number in RESNET_CHILDREN.items()}


def dinov2(prefix: str) -> dict[str, str | None]:
    """Returns the prefixes of a DINOv2 that stands at `prefix`. Its mask token serves only its own training."""
    return {f"{prefix}mask_token": None, prefix: "backbone.model."}
