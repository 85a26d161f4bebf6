"""Training of a decoder from location embeddings to positions; there are no images."""

from typing import Any

import numpy as np
import torch
from torch import nn

from commons.errors import ArgumentError, did_you_mean
from commons.sphere_tensors import unit_vectors
from datasets.places import Places
from losses.location import POSITION_LOSSES
from methods.all_images import AllImages


class LocationDecoding(AllImages):
    """Teaches a decoder to undo a location encoder over a region (GeoCLIP's: https://arxiv.org/abs/2309.16020).

    Positions are drawn over the polygons of --polygons, uniformly over their area, or come from the table of
    --train_set_folder. Their embeddings are computed once, and the decoder answers unit vectors. There are no images.
    """

    task = "location_decoder"
    labelled = own_loss = True
    losses: dict[str, type[nn.Module]] = {}
    batches = "location_decoder has a loss between positions"
    defaults: dict[str, object] = {
        "epochs_num": 8,
        "iterations_per_epoch": 200,
        "batch_size": 2048,
        "optimizer": "muon",
        "lr": 2e-2,
        "weight_decay": 1e-2,
        "scheduler": "onecycle",
        "cache_features": "ram",
        "decode": "cpu",
    }
    conflicts: dict[str, str] = {}

    def __init__(self, places: Places, *, distance: str = "chord") -> None:
        """Args:
        places: the training positions.
        distance: between unit vectors, chord or angle, which is the loss.
        """
        super().__init__(len(places))
        self.vectors = unit_vectors(torch.from_numpy(np.stack(places.degrees, axis=1))).float()
        self._loss = POSITION_LOSSES[distance]()

    @staticmethod
    def check(batch_size: int, processes: int = 1, *, distance: str = "chord") -> None:
        """Raises ArgumentError if the processes cannot share the batch equally, or the distance is unknown."""
        AllImages.check(batch_size, processes)
        if distance not in POSITION_LOSSES:
            hint, known = did_you_mean(distance, POSITION_LOSSES), ", ".join(POSITION_LOSSES)
            raise ArgumentError("method_options", f"distance={distance} is unknown{hint}; choose from {known}")

    @classmethod
    def build(cls, settings: Any, images: Places, descriptor_dim: int, task: Any) -> "LocationDecoding":
        """Builds the method from the settings of train.py and the training positions."""
        return cls(images, **settings.method.method_options)

    def loss(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of unit vectors (b, 3) of the positions `labels` (b,)."""
        return self._loss(descriptors.float(), self.vectors[labels.cpu()].to(descriptors.device))
