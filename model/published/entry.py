"""Entries for published weights, and the renaming of their tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

State = dict[str, "torch.Tensor"]
# What DataParallel adds to the names of tensors.
PARALLEL = "module."
# Children of a whole torchvision ResNet, numbered as in `model.backbones.TorchvisionBackbone`.
RESNET_CHILDREN = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}


def as_it_is(state: State) -> State:
    """Returns the state dict: its tensors have our names."""
    return state


@dataclass(frozen=True)
class Published:
    """Weights that the authors of a paper have published.

    Attributes:
        network: arguments of `GeoLocalizationNet`.
        file: name of the file in torch's hub cache.
        page: address of a web page to download from.
        test_side: side of the squares that the authors resize test images to; None where they do not resize.
        address: address of the file itself; "" where it can only be downloaded with a browser.
        convert: maps the published state dict to ours.
        read: reads a file that is neither PyTorch's nor safetensors'.
        vocabulary_only: the file holds the vocabulary of an aggregation, and the backbone has its own authors' weights.
            Without a file, the vocabulary is fitted to the database of each test set.
    """

    network: dict[str, object]
    file: str
    page: str
    test_side: int | None
    address: str = ""
    convert: Callable[[State], State] = as_it_is
    read: Callable[[str], State] | None = None
    vocabulary_only: bool = False


def without_parallel(state: State) -> State:
    """Returns tensors with the names that they have without DataParallel."""
    return {name.removeprefix(PARALLEL): tensor for name, tensor in state.items()}


def rename(state: State, prefixes: dict[str, str | None]) -> State:
    """Replaces prefixes of the tensors' names; other names stay the same.

    Args:
        state: tensors by name.
        prefixes: old and new prefixes; None drops the tensor. The first that matches is used.
    """
    renamed = {}
    for name, tensor in state.items():
        old = next((prefix for prefix in prefixes if name.startswith(prefix)), "")
        new = prefixes.get(old, "")
        if new is not None:
            renamed[new + name.removeprefix(old)] = tensor
    return renamed


def resnet(prefix: str) -> dict[str, str]:
    """Returns the prefixes of a torchvision ResNet at `prefix`, and ours."""
    return {f"{prefix}{child}.": f"backbone.{number}." for child, number in RESNET_CHILDREN.items()}


def drive(file_id: str) -> tuple[str, str]:
    """Returns the page of a file of Google Drive, and the address of the file itself."""
    # `confirm` skips Google Drive's warning about large files.
    direct = f"https://drive.usercontent.google.com/download?id={file_id}&export=download&confirm=t"
    return f"https://drive.google.com/file/d/{file_id}/view", direct


def dinov2(prefix: str) -> dict[str, str | None]:
    """Returns the prefixes of a DINOv2 at `prefix`. Its mask token is used in its own training only."""
    return {f"{prefix}mask_token": None, prefix: "backbone.model."}
