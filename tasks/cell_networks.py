"""Networks over cells, built for training or read from checkpoints."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from cells.partition import Partition
from commons.checkpoints import load_checkpoint
from commons.errors import PlacewiseError, first_line
from model.cell_network import CellEnsemble, CellHeads, CellNet
from model.exported import open_network
from model.formats import is_exported
from model.head_network import HeadNet
from model.network import GeoLocalizationNet, network_settings
from model.pretrained import load_pretrained
from tasks.cell_partitions import from_text
from tasks.networks import load_published_network
from tasks.task import StartNetwork, task_of

ENTRIES = ("partition", "references")  # of checkpoints, as text


def heads_for(partition: Partition, losses: Sequence[str]) -> CellHeads:
    """Returns the predictions that the losses need, as names with weights."""
    names = {loss.partition("=")[0] for loss in losses}
    return CellHeads(tuple(map(len, partition.levels)), "multi_head" in names, "offset" in names)


def build_cell_network(
    settings: Any, partition: Partition, accelerator: Accelerator, before: Mapping[str, Any] | None
) -> StartNetwork:
    """Builds the network to train on its device.

    Args:
        settings: settings of train.py.
        partition: the cells.
        accelerator: accelerator of the run.
        before: configuration of the run to resume, whose checkpoint overwrites the weights later; None for a new run.
    """
    encoder, config, targets = build_encoder(settings, accelerator, before)
    network = CellNet(encoder, heads_for(partition, settings.cells.cell_loss))
    network = network.to(accelerator.device, memory_format=torch.channels_last)
    return StartNetwork(network, config, targets)


def build_encoder(
    settings: Any, accelerator: Accelerator, before: Mapping[str, Any] | None
) -> tuple[GeoLocalizationNet, dict[str, Any], dict[str, torch.Tensor]]:
    """Builds the encoder of images for a network with a head.

    Args:
        settings: settings of train.py; with `cache_features` the encoder is frozen.
        accelerator: accelerator of the run.
        before: as for `build_cell_network`.

    Returns:
        The encoder, the flags that rebuild it if they come from a checkpoint, and the `targets` of that checkpoint.
    """
    chosen = settings.network
    trained, config = None, before or {}
    if before is None and chosen.resume_model:
        trained, config = load_encoder(chosen.resume_model)
        logging.info(f"Network: the encoder of {chosen.resume_model}, {config['backbone']}")
    elif before is None and chosen.pretrained_model:
        trained, config = load_published_network(chosen, accelerator)
    own = network_settings(config) or network_settings(vars(chosen))
    frozen = ("train_all_layers", "num_trainable_blocks", "freeze_batch_norm", "freeze")
    encoder = GeoLocalizationNet(**own, **{name: getattr(chosen, name) for name in frozen})
    if settings.run.cache_features != "none":
        encoder.requires_grad_(False)
    if trained is not None:
        encoder.load_state_dict(trained.state_dict())
    elif before is None:
        with accelerator.main_process_first():
            source = load_pretrained(encoder.backbone, chosen.backbone, chosen.pretrained)
        dimension = f"{encoder.descriptor_dim} dimensions"
        logging.info(f"Network: {chosen.backbone} with {source}, {chosen.aggregation}, {dimension}")
    return encoder, own if config else {}, config.get("targets", {})


def load_encoder(path: str | Path) -> tuple[GeoLocalizationNet, dict[str, Any]]:
    """Returns the network of a checkpoint of place recognition, or the encoder of a checkpoint of another task."""
    network, config = task_of([path]).load_network(path)
    return getattr(network, "encoder", network), config


def load_with_head(
    path: str | Path,
    entries: Sequence[str],
    build: Callable[[GeoLocalizationNet, dict[str, Any]], HeadNet],
    what: str,
) -> tuple[HeadNet, dict[str, Any]]:
    """Rebuilds a network with a head from a checkpoint.

    Args:
        path: path of the checkpoint.
        entries: optional entries of the checkpoint that are added to the configuration.
        build: builds the network from its encoder and the configuration.
        what: kind of network, for the error message.

    Returns:
        The network, and its configuration with `targets` and the entries. Raises: PlacewiseError: if the file contains
            no such network.
    """
    checkpoint = load_checkpoint(path)
    try:
        own = {name: checkpoint[name] for name in entries if name in checkpoint}
        config = checkpoint["config"] | own | {"targets": checkpoint.get("targets", {})}
        network = build(GeoLocalizationNet(**network_settings(config)), config)
        network.load_state_dict(checkpoint["network"])
    except (RuntimeError, KeyError, AttributeError, TypeError, ValueError, PlacewiseError) as error:
        raise PlacewiseError(f"{path}: not a checkpoint of {what} ({first_line(error)})") from error
    return network, config


def load_cell_network(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuilds the network of a checkpoint or of an exported file.

    Returns:
        The network, and its configuration with `targets`, `partition` and, where labels are known, `references`.

    Raises:
        PlacewiseError: if the file holds no such network.
    """
    if is_exported(path):
        return open_network(path)
    return load_with_head(path, ENTRIES, _cell_network, "a network over cells")


def _cell_network(encoder: GeoLocalizationNet, config: Mapping[str, Any]) -> CellNet:
    return CellNet(encoder, heads_for(from_text(config["partition"]), config["cell_loss"]))


def load_cell_networks(paths: Sequence[str], device: torch.device) -> tuple[nn.Module, dict[str, dict[str, Any]]]:
    """Returns the network to evaluate, or the mean of several, and the configuration of each by its path.

    Raises:
        PlacewiseError: if networks have different cells or heads.
    """
    networks, configs = [], {}
    for path in paths:
        network, config = open_network(path, device) if is_exported(path) else load_cell_network(path)
        logging.info(f"Network: {config['backbone']}, {network.descriptor_dim} outputs, from {path}")
        networks.append(network)
        configs[path] = config
    first, *others = configs
    for path in others:
        if any(configs[path][name] != configs[first][name] for name in ("partition", "cell_loss")):
            raise PlacewiseError(f"{first} and {path} have different cells or heads, so they cannot be averaged")
    return networks[0] if len(networks) == 1 else CellEnsemble(networks), configs
