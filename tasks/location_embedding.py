"""Geolocation by location embeddings: a photo's embedding is compared with those of positions, or decoded."""

import base64
import logging
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from cells.partition import Partition
from commons.errors import ArgumentError, PlacewiseError
from commons.sphere import unit_vectors
from datasets.geotagged import read_geotagged
from datasets.places import Places
from losses.geolocation.geometry import CellGeometry
from model.embedding_network import EmbeddingNet
from model.formats import is_exported
from model.location.building import build_location_encoder, read_location_encoder
from model.location.decoder import LocationDecoder
from model.location.encoder import encode
from model.network import GeoLocalizationNet, network_settings
from tasks.cell_networks import build_encoder, load_with_head
from tasks.cell_partitions import geometry_of
from tasks.embedding_answers import EmbeddingAnswers, Positions
from tasks.geolocating import GeoSet
from tasks.geolocation import Geolocation
from tasks.location_decoder import LocationDecoding
from tasks.task import StartNetwork

ENTRIES = ("partition", "references", "positions")  # of checkpoints, as text
MOST, DECIMALS = 100_000, 2  # positions of the gallery, and decimals of their degrees: about a kilometre


class LocationEmbedding(Geolocation):
    """Answers positions whose embedding is like that of the photo.

    Attributes:
        network: network that is trained; None in other programs.
        positions: positions of the gallery in degrees, float64 (m, 2).
    """

    name = "location_embedding"
    carried = ("targets", *ENTRIES)
    default_answer = "softmax"

    def __init__(self, settings: Any, accelerator: Accelerator) -> None:
        super().__init__(settings, accelerator)
        self.network: EmbeddingNet | None = None
        self.positions = np.zeros((0, 2))
        self._made: EmbeddingAnswers | None = None

    def read_training_images(self, labelled: bool) -> Places:
        """Returns the training photos, whose positions become the gallery."""
        places = super().read_training_images(labelled)
        self.positions = gallery_of(places)
        return places

    def build_network(self, checkpoint: Mapping[str, Any] | None) -> StartNetwork:
        """Returns the network to train."""
        before = None if checkpoint is None else checkpoint["config"]
        chosen = self.settings.location
        encoder, config, targets = build_encoder(self.settings, self.accelerator, before)
        location = location_encoder(vars(chosen), self.settings.run.seed, chosen.encoder_weights)
        network = EmbeddingNet(encoder, location)
        logging.info(f"Location encoder: {chosen.location_encoder}, {location.dim} dimensions")
        self.network = network.to(self.accelerator.device, memory_format=torch.channels_last)
        return StartNetwork(self.network, config, targets)

    def entries(self) -> dict[str, Any]:
        """Returns the cells, positions with labels and the gallery."""
        return super().entries() | {"positions": to_text(self.positions)}

    @staticmethod
    def load_network(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
        """Rebuilds the network of a checkpoint."""
        return load_embedding_network(path)

    @staticmethod
    def network_settings(config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the backbone, the aggregation layer and the location encoder of a configuration."""
        own = ("location_encoder", "location_encoder_options")
        return network_settings(config) | {name: config[name] for name in own}

    def load_networks(self) -> tuple[nn.Module, dict[str, dict[str, Any]]]:
        """Returns the network that eval.py evaluates."""
        return load_one(self.settings.network.resume_model)

    def prepare(self, network: nn.Module, configs: Mapping[str, dict], test_sets: Sequence[GeoSet]) -> None:
        """Takes cells, gallery, labels, metric and size of images from the checkpoint."""
        super().prepare(network, configs, test_sets)
        self.positions = positions_of(self.config)

    def _check_gallery(self, network: nn.Module) -> None:
        """Has nothing to check: any photos with positions may replace the gallery."""

    def fit(self, network: nn.Module, precision: str, folder: Path | None) -> None:
        """Takes the gallery from --gallery."""
        if self._gallery_named:
            self.positions = gallery_of(read_geotagged(self.chosen.gallery).places)

    def _answers(self, network: nn.Module) -> nn.Module:
        decoder, before = getattr(self.chosen, "decoder", None), self._made
        trained = any(parameter.requires_grad for parameter in network.location.parameters())
        if before is None or before.network is not network or trained:  # else the gallery is encoded already
            self._made = embedding_answers(network, self.positions, self.partition, decoder)
        return self._made


def gallery_of(places: Places) -> np.ndarray:
    """Returns positions in degrees, float64 (m, 2), one for each square kilometre or so, at most MOST."""
    degrees = np.stack(places.degrees, axis=1)
    degrees = np.unique(degrees[np.isfinite(degrees).all(axis=1)].round(DECIMALS), axis=0)
    if len(degrees) > MOST:
        degrees = degrees[np.sort(np.random.default_rng(0).choice(len(degrees), MOST, replace=False))]
    return degrees


def to_text(positions: np.ndarray) -> str:
    """Returns positions as text, for checkpoints."""
    return base64.b64encode(zlib.compress(positions.astype("<f8").tobytes())).decode("ascii")


def positions_of(config: Mapping[str, Any]) -> np.ndarray:
    """Returns the gallery of a configuration, float64 (m, 2)."""
    found = np.frombuffer(zlib.decompress(base64.b64decode(config["positions"])), "<f8")
    return found.reshape(-1, 2).copy()  # PyTorch warns of arrays that are read-only


def location_encoder(config: Mapping[str, Any], seed: int, weights: str | None = None) -> nn.Module:
    """Builds the location encoder of a configuration."""
    options = read_location_encoder(config["location_encoder"], config["location_encoder_options"])
    if weights is None and config["location_encoder"] == "spherical_harmonics":
        return build_location_encoder(config["location_encoder"], options, seed=seed)
    return build_location_encoder(config["location_encoder"], options, weights)


def load_embedding_network(path: str | Path) -> tuple[EmbeddingNet, dict[str, Any]]:
    """Rebuilds the network of a checkpoint.

    Returns:
        The network, and its configuration with `targets`, `partition`, `positions` and, where labels are known,
        `references`.

    Raises:
        PlacewiseError: if the file holds no such network.
    """
    if is_exported(path):
        raise PlacewiseError(f"{path}: exported networks have no gallery of positions; give the checkpoint")
    return load_with_head(path, ENTRIES, _embedding_network, "location embeddings")


def _embedding_network(encoder: GeoLocalizationNet, config: Mapping[str, Any]) -> EmbeddingNet:
    options = read_location_encoder(config["location_encoder"], config["location_encoder_options"])
    return EmbeddingNet(encoder, build_location_encoder(config["location_encoder"], options, seed=0))


def load_one(paths: Sequence[str]) -> tuple[EmbeddingNet, dict[str, dict[str, Any]]]:
    """Returns the network of the only path, and its configuration.

    Raises:
        ArgumentError: if there are several paths.
    """
    if len(paths) != 1:
        raise ArgumentError("resume_model", "networks of location embeddings cannot be evaluated together; give one")
    network, config = load_embedding_network(paths[0])
    logging.info(f"Network: {config['backbone']}, embeddings of {network.descriptor_dim} dimensions, from {paths[0]}")
    return network, {paths[0]: config}


def embedding_answers(
    network: EmbeddingNet, degrees: np.ndarray, partition: Partition, decoder: str | None
) -> EmbeddingAnswers:
    """Encodes the gallery and returns what maps images to answers, on the device of the network.

    Args:
        network: network on its device.
        degrees: positions of the gallery, float64 (m, 2).
        partition: the cells of the density.
        decoder: checkpoint of a location decoder; None for no answer by it.
    """
    device = next(network.parameters()).device
    cells = partition.assign(*degrees.T, nearest=True)[:, -1].astype(np.int64)
    geometry: CellGeometry = geometry_of(partition)
    found = encode(network.location.eval(), torch.from_numpy(degrees))
    vectors = torch.from_numpy(unit_vectors(*degrees.T).astype(np.float32))
    positions = Positions(vectors, nn.functional.normalize(found, dim=1), torch.from_numpy(cells))
    return EmbeddingAnswers(network, positions, geometry, _decoder(decoder, network)).to(device)


def _decoder(file: str | None, network: EmbeddingNet) -> LocationDecoder | None:
    if file is None:
        return None
    decoder = LocationDecoding.load_network(file)[0].decoder
    if decoder.embedding_dim != network.descriptor_dim:
        raise ArgumentError(
            "decoder",
            f"{file}: is for embeddings of {decoder.embedding_dim} dimensions, but these have {network.descriptor_dim}",
        )
    return decoder
