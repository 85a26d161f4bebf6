"""Networks of place recognition, built for training or read from checkpoints."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from tqdm import tqdm

from commons import devices
from commons.errors import ArgumentError, UsageError
from datasets.decoding import ImageFiles, Size
from datasets.places import Places
from datasets.test_dataset import image_batches
from model.exported import open_network
from model.network import GeoLocalizationNet, fit_pca_layer, initialise_aggregation, network_settings
from model.pretrained import load_network, load_pretrained
from model.published import PUBLISHED
from model.published.weights import load_published
from model.test_time import Ensemble, keep_first
from tasks.task import StartNetwork

CLUSTER_IMAGES = 512
PCA_IMAGES = 4096


def build_network(settings: Any, accelerator: Accelerator, before: Mapping[str, Any] | None = None) -> StartNetwork:
    """Builds the network to train on its device.

    Args:
        settings: section `network` of the settings of train.py.
        accelerator: accelerator of the run.
        before: configuration of the run to resume, whose checkpoint overwrites the weights later; None for a new run.
    """
    trained, config = None, before or {}
    if before is None and settings.resume_model:
        trained, config = load_network(settings.resume_model)
        _log("Network", config["backbone"], trained.descriptor_dim, settings.resume_model)
    elif before is None and settings.pretrained_model:
        trained, config = load_published_network(settings, accelerator)
        if not getattr(trained.aggregation, "given", True):
            raise ArgumentError(
                "pretrained_model",
                f"{settings.pretrained_model} has no vocabulary, which training needs; choose anyloc-urban, or give a "
                "vocabulary file as `pretrained_model_file`",
            )
    own = network_settings(config) or network_settings(vars(settings))
    network = GeoLocalizationNet(
        **own,
        train_all_layers=settings.train_all_layers,
        num_trainable_blocks=settings.num_trainable_blocks,
        freeze_batch_norm=settings.freeze_batch_norm,
        freeze=settings.freeze,
    )
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UsageError(
            "no layer of the network would be trained; raise --num_trainable_blocks, list fewer blocks in --freeze, "
            "or add a layer with --fc_output_dim"
        )
    if trained is not None:
        network.load_state_dict(trained.state_dict())
    elif before is None:
        with accelerator.main_process_first():
            source = load_pretrained(network.backbone, settings.backbone, settings.pretrained)
        cut = f" cut after {settings.cut_after}" if settings.cut_after else ""
        head = f"{settings.aggregation}, {network.descriptor_dim} dimensions"
        logging.info(f"Network: {settings.backbone}{cut} with {source}, {head}")
    network = network.to(accelerator.device, memory_format=torch.channels_last)
    return StartNetwork(network, own if config else {}, config.get("targets", {}))


def start_aggregation(
    network: GeoLocalizationNet, settings: Any, places: Places, accelerator: Accelerator, precision: str
) -> None:
    """Initialises the aggregation layer from training images: clusters, PCA.

    Args:
        network: network on its device.
        settings: settings of train.py.
        places: the training images.
        accelerator: accelerator of the run.
        precision: "fp32", "bf16" or "fp16".
    """
    with devices.autocast(accelerator.device, precision):
        if hasattr(network.aggregation, "initialise"):
            few = _sample(places, CLUSTER_IMAGES)
            initialise_aggregation(network, _batches(few, settings, accelerator.device, "clusters"))
            logging.info(f"The clusters are initialised by k-means of the local features of {len(few)} images")
        if settings.network.fc_init == "pca":
            many = _sample(places, PCA_IMAGES)
            kept = fit_pca_layer(network, _batches(many, settings, accelerator.device, "PCA"))
            source = f"the features of {len(many)} images"
            logging.info(f"The linear layer is initialised by a PCA of {source} and keeps {kept:.1%} of their variance")


def _sample(places: Places, count: int) -> Places:
    return places.take(np.arange(0, len(places), -(-len(places) // count)))


def _batches(sample: Places, settings: Any, device: torch.device, what: str) -> Iterator[torch.Tensor]:
    source, size = ImageFiles(sample, settings.training.image_size), settings.evaluation.infer_batch_size
    batches = image_batches(source, size, settings.run.num_workers, device)
    for _, batch in tqdm(batches, what, -(-len(sample) // size)):
        yield batch.to(device)


def load_published_network(settings: Any, accelerator: Accelerator) -> tuple[GeoLocalizationNet, dict[str, Any]]:
    """Returns the network of --pretrained_model with the weights of its authors, and its configuration."""
    name, file = settings.pretrained_model, settings.pretrained_model_file
    with accelerator.main_process_first():
        network, config = load_published(name, file, settings.pretrained)
    _log("Network", name, network.descriptor_dim, file or PUBLISHED[name].page)
    side = PUBLISHED[name].test_side
    if side:
        logging.info(
            f"The authors of this network resize all test images to {side}x{side}: use eval.py --image_size {side} "
            f"{side}"
        )
    return network, config


def load_networks(settings: Any, accelerator: Accelerator) -> tuple[nn.Module, dict[str, dict[str, Any]]]:
    """Returns the network or the ensemble to evaluate, and the configuration of each checkpoint by its path.

    Args:
        settings: section `network` of the settings of eval.py.
        accelerator: accelerator of the run.
    """
    first = settings.first_dimensions
    if settings.pretrained_model:
        network, config = load_published_network(settings, accelerator)
        return (keep_first(network, first) if first else network), {settings.pretrained_model: config}
    if not settings.resume_model:
        network = GeoLocalizationNet(**network_settings(vars(settings)))
        with accelerator.main_process_first():
            source = load_pretrained(network.backbone, settings.backbone, settings.pretrained)
        logging.info(
            f"No --resume_model: evaluating the pretrained {settings.backbone} ({source}) with {settings.aggregation}, "
            f"{network.descriptor_dim} dimensions, not trained on places"
        )
        return (keep_first(network, first) if first else network), {}
    return open_networks(settings.resume_model, accelerator.device, first)


def open_networks(
    paths: Sequence[str], device: torch.device, first: int = 0
) -> tuple[nn.Module, dict[str, dict[str, Any]]]:
    """Opens checkpoints or exported networks: the network or an ensemble, and each configuration by its path.

    Args:
        paths: paths of the files.
        device: for exported networks.
        first: use the first dimensions of each network's descriptors, so many; 0 for all.
    """
    networks, configs = [], {}
    for number, path in enumerate(paths, 1):
        network, config = open_network(path, device)
        runtime = "" if isinstance(network, GeoLocalizationNet) else f" ({network})"
        what = "Network" if len(paths) == 1 else f"Model {number}"
        dimensions = f"the first {first} of {network.descriptor_dim}" if first else network.descriptor_dim
        _log(what, config["backbone"], dimensions, f"{path}{runtime}")
        networks.append(keep_first(network, first) if first else network)
        configs[path] = config
    return networks[0] if len(networks) == 1 else Ensemble(networks), configs


def choose_shorter_side(image_size: Size, resize: bool | None, configs: Mapping[str, Mapping[str, Any]]) -> Size:
    """Returns the size of the shorter side of test images, or their height and width; None to keep their size.

    Args:
        image_size, resize: --image_size and --resize_test_imgs; None to use the values of the checkpoints.
        configs: configurations of the checkpoints, by path.

    Raises:
        UsageError: if the sizes of the checkpoints of an ensemble differ.
    """

    def side(config: Mapping[str, Any]) -> Size:
        resized = resize if resize is not None else image_size is not None or config.get("resize_test_imgs", False)
        return (image_size or config.get("image_size", 512)) if resized else None

    sides = {path: side(config) for path, config in configs.items()} or {"": side({})}
    if len({str(wish) for wish in sides.values()}) > 1:
        wishes = ", ".join(f"{path} {wish or 'unchanged'}" for path, wish in sides.items())
        raise UsageError(
            f"--resume_model: the models take images of different sizes ({wishes}); set one size with --image_size, or "
            "use --no-resize_test_imgs"
        )
    return next(iter(sides.values()))


def size_text(size: Size) -> str:
    """Returns the text of a size for the log."""
    if size is None:
        return "not resized"
    return "height {} and width {}".format(*size) if isinstance(size, Sequence) else f"shorter side {size}"


def _log(what: str, name: str, dimension: int | str, source: object) -> None:
    logging.info(f"{what}: {name}, {dimension} dimensions, from {source}")
