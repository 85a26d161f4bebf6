"""Two towers, built for training or read from checkpoints."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from commons.checkpoints import load_checkpoint
from commons.errors import PlacewiseError, UsageError, first_line
from model.pretrained import load_pretrained
from model.two_towers import TwoTowers, build_two_towers
from tasks.task import StartNetwork

# Flags that say which network to build.
SETTINGS = (
    "backbone", "cut_after", "fc_output_dim", "aggregation", "aggregation_options", "aerial_backbone", "shared_encoder",
    "levels",
)  # fmt: skip
TRAINED = ("train_all_layers", "num_trainable_blocks", "freeze", "freeze_batch_norm")


def tower_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `build_two_towers` that a configuration holds."""
    return {name: config[name] for name in SETTINGS if name in config}


def load_towers(path: str | Path) -> tuple[TwoTowers, dict[str, Any]]:
    """Rebuilds the towers of a checkpoint.

    Returns:
        The network on the CPU, in evaluation mode, and its configuration with `targets`.

    Raises:
        PlacewiseError: if the file is no such checkpoint.
    """
    checkpoint = load_checkpoint(path)
    try:
        config = checkpoint["config"] | {"targets": checkpoint.get("targets", {})}
        network = build_two_towers(**tower_settings(config))
        network.load_state_dict(checkpoint["network"])
    except (RuntimeError, KeyError, AttributeError, TypeError, ValueError, PlacewiseError) as error:
        raise PlacewiseError(
            f"{path}: not a checkpoint of towers for street photos and aerial images ({first_line(error)})"
        ) from error
    return network.eval(), config


def start_towers(settings: Any, accelerator: Accelerator, before: Mapping[str, Any] | None) -> StartNetwork:
    """Builds the network to train on its device.

    Args:
        settings: settings of train.py.
        accelerator: accelerator of the run.
        before: configuration of the run to resume, whose checkpoint overwrites the weights later; None for a new run.
    """
    chosen = settings.network
    trained, config = None, dict(before or {})
    if before is None and chosen.resume_model:
        trained, config = load_towers(chosen.resume_model)
        logging.info(f"Network: both towers of {chosen.resume_model}")
    own = tower_settings(config) or tower_settings(vars(chosen) | vars(settings.cross_view))
    network = build_two_towers(**own, **{name: getattr(chosen, name) for name in TRAINED})
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UsageError("no layer of the network would be trained; raise --num_trainable_blocks")
    if trained is not None:
        network.load_state_dict(trained.state_dict())
    elif before is None:
        with accelerator.main_process_first():
            _load_backbones(network, own, chosen.pretrained)
    network = network.to(accelerator.device, memory_format=torch.channels_last)
    return StartNetwork(network, own if config else {}, config.get("targets", {}))


def _load_backbones(network: TwoTowers, own: Mapping[str, Any], pretrained: str) -> None:
    street, aerial = own["backbone"], own["aerial_backbone"] or own["backbone"]
    source = load_pretrained(network.street.backbone, street, pretrained)
    if not own["shared_encoder"]:
        load_pretrained(network.aerial.backbone, aerial, pretrained)
    towers = f"{street} for both" if own["shared_encoder"] else f"{street} and {aerial}"
    logging.info(f"Network: {towers} with {source}, {own['aggregation']}, {network.descriptor_dim} dimensions")
