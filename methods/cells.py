"""Classification over cells of the earth."""

from typing import Any

import numpy as np
import torch
from torch import nn

from datasets.places import Places
from losses.geolocation.building import make_cell_loss, read_cell_losses
from losses.geolocation.geometry import CellOutputs, CellTruth
from methods.all_images import AllImages
from model.cell_network import CellHeads
from tasks.cell_networks import heads_for
from tasks.cell_partitions import geometry_of


class CellClassification(AllImages):
    """Classifies photos over cells of the earth (PlaNet, https://arxiv.org/abs/1602.05314).

    --cells chooses how the earth is cut, --cell_loss the losses. Batches are drawn from all photos, pass after pass.
    The head of the network learns with --classifiers_lr and the optimizer of the network.
    """

    task = "geolocation"
    labelled = own_loss = True
    losses: dict[str, type[nn.Module]] = {}
    batches = "cells has losses of its own, --cell_loss"
    defaults: dict[str, object] = {
        "fc_output_dim": 0,
        "image_size": 224,
        "resize_test_imgs": True,
        "epochs_num": 10,
        "iterations_per_epoch": 1000,
        "lr": 1e-4,
        "classifiers_lr": 1e-3,
    }
    conflicts = (
        dict.fromkeys(("M", "alpha", "N", "L", "min_images_per_class", "groups_num"), "choose cells with --cells")
        | dict.fromkeys(("loss", "loss_options", "miner", "miner_options"), "choose with --cell_loss")
        | dict.fromkeys(
            ("self_supervised_weight", "adaptation"), "it is for descriptors, and this network has logits of cells"
        )
        | dict.fromkeys(("index", "positive_dist_threshold", "layout", "queries_folder"), "there is no database")
    )

    def __init__(self, loss: nn.Module, heads: CellHeads, truth: CellTruth) -> None:
        """Args:
        loss: loss of `CellOutputs` and `CellTruth`.
        heads: what the network predicts.
        truth: ground truth of all training photos.
        """
        super().__init__(len(truth.cells))
        self._loss, self.heads, self.truth = loss, heads, truth

    @classmethod
    def build(cls, settings: Any, images: Places, descriptor_dim: int, task: Any) -> "CellClassification":
        """Builds the method from the settings of train.py, the training images and the cells of the task."""
        chosen, degrees = settings.cells, images.degrees
        losses = read_cell_losses(chosen.cell_loss, chosen.cell_loss_options)
        loss = make_cell_loss(geometry_of(task.partition), *losses)
        cells = task.partition.assign(*degrees).astype(np.int64)
        truth = CellTruth(*map(torch.from_numpy, (*map(np.ascontiguousarray, degrees), cells)))
        return cls(loss, heads_for(task.partition, chosen.cell_loss), truth)

    def begin_epoch(self, epoch: int, device: torch.device) -> list:
        """Moves the losses to the device and returns no groups: every epoch draws from all photos."""
        self._loss.to(device)
        return []

    def loss(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of outputs (b, descriptor_dim) of the photos `labels` (b,)."""
        outputs = CellOutputs(*self.heads.split(descriptors.float()))
        truth = self.truth.take(labels.cpu())
        return self._loss(outputs, CellTruth(*(column.to(descriptors.device) for column in truth)))
