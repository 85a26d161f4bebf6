"""Teaches images the embeddings of the positions where they were taken."""

from typing import Any

import numpy as np
import torch
from torch import nn

from datasets.places import Places
from losses.location.contrastive import MOST_SCALE, LocationContrast
from losses.location.cosine import CosineToLocation
from methods.all_images import AllImages
from methods.cells import CellClassification
from model.embedding_network import EmbeddingNet


class LocationEmbedding(AllImages):
    """Draws each photo's embedding to that of its position, by a frozen location encoder.

        loss = 1 - cos(image embedding, location embedding)

    --location_encoder chooses the encoder (GeoCLIP's: https://arxiv.org/abs/2309.16020). The head learns with
    --classifiers_lr. Cells serve the density of answers over the map, and the figures.
    """

    task = "location_embedding"
    labelled = own_loss = True
    losses: dict[str, type[nn.Module]] = {}
    batches = "location_embedding has a loss of its own"
    defaults: dict[str, object] = CellClassification.defaults | {
        "cell_options": {"max_images": "200", "min_images": "1"}
    }
    conflicts = CellClassification.conflicts | dict.fromkeys(
        ("cell_loss", "cell_loss_options"), "its loss is between embeddings"
    )

    def __init__(self, places: Places, network: EmbeddingNet) -> None:
        """Args:
        places: the training photos.
        network: network on its device; its location encoder says what to learn.
        """
        super().__init__(len(places))
        self.degrees, self.network = torch.from_numpy(np.stack(places.degrees, axis=1)), network
        self._loss = CosineToLocation()

    @classmethod
    def build(cls, settings: Any, images: Places, descriptor_dim: int, task: Any) -> "LocationEmbedding":
        """Builds the method from the training images and the network of the task."""
        task.network.location.freeze()
        return cls(images, task.network)

    def loss(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of embeddings (b, descriptor_dim) of the photos `labels` (b,)."""
        with torch.no_grad():
            wanted = self.network.location(self._positions(descriptors, labels))
        return self._loss(descriptors, wanted)

    def _positions(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.degrees[labels.cpu()].to(descriptors.device, torch.float32)


class GeoClipTraining(LocationEmbedding):
    """Contrasts photos with positions of the batch and of a queue (GeoCLIP, https://arxiv.org/abs/2309.16020).

    The location encoder is trained, too, with --lr; the temperature and the head learn with --classifiers_lr.
    """

    batches = "geoclip has a loss of its own"

    def __init__(
        self,
        places: Places,
        network: EmbeddingNet,
        lr: float = 1e-3,
        *,
        queue: int = 4096,
        temperature: float = 0.07,
        noise_m: float = 150.0,
        queue_noise_m: float = 1000.0,
        hardness: float = 0.0,
    ) -> None:
        """Args:
        places: the training photos.
        network: network on its device.
        lr: learning rate of Adam for the temperature.
        queue: earlier positions that batches are also contrasted with.
        temperature: at first.
        noise_m: standard deviation in metres of the noise of the batch's positions.
        queue_noise_m: standard deviation of the noise on the positions of the queue, in metres.
        hardness: how much more those negatives count that are more similar to the photo; 0 for equal weights.
        """
        super().__init__(places, network)
        self._loss = LocationContrast(
            queue=queue, temperature=temperature, noise_m=noise_m, queue_noise_m=queue_noise_m, hardness=hardness
        )
        # Gradients of these are averaged over processes by hand; the network's optimizer moves the location encoder.
        self.parameters = [self._loss.log_scale, *network.location.parameters()]
        self.optimizers = [torch.optim.Adam([self._loss.log_scale], lr=lr)]

    @classmethod
    def build(cls, settings: Any, images: Places, descriptor_dim: int, task: Any) -> "GeoClipTraining":
        """Builds the method from the settings of train.py, the training images and the network of the task."""
        return cls(images, task.network, settings.training.classifiers_lr, **settings.method.method_options)

    def begin_epoch(self, epoch: int, device: torch.device) -> list:
        """Moves the loss to the device and returns no groups."""
        self._loss.to(device)
        return []

    def loss(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of embeddings (b, descriptor_dim) of the photos `labels` (b,)."""
        self.network.scale.copy_(self._loss.log_scale.detach().exp().clamp(max=MOST_SCALE))
        return self._loss(descriptors, self._positions(descriptors, labels), self.network.location)

    def state_dict(self) -> dict:
        """Returns the queue, the temperature and its optimizer."""
        own = {"loss": self._loss.state_dict(), "optimizers": [each.state_dict() for each in self.optimizers]}
        return super().state_dict() | own

    def load_state_dict(self, state: dict) -> None:
        """Restores the state that `state_dict` returned.

        Raises:
            RuntimeError, ValueError: if the number of photos or the queue differ.
        """
        super().load_state_dict(state)
        self._loss.load_state_dict(state["loss"])
        for optimizer, own in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)
