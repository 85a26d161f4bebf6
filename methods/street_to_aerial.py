"""Teaches street photos and aerial images of one place the same descriptor."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from augmentations.pipeline import Augmentation
from commons.sphere import from_local_km
from datasets.places import Places
from losses import CROSS_VIEW
from losses.building import make_loss
from losses.cross_view import pairs_apart
from methods.pair_contrast import PairContrast
from methods.paired_images import PairedImages


class StreetToAerial(PairContrast):
    """Contrasts street photos with aerial images of their places (https://arxiv.org/abs/2409.16763).

    Each photo of a batch has aerial images of its place at several resolutions, at a random bearing and moved by up to
    --aerial_offset metres, cut from the tiles on the device. --loss compares all pairs of the batch; those nearer than
    --cell_size are neither positives nor negatives. Photos are drawn by places of 5 m, so that streets with many photos
    do not dominate; --hard_examples puts pairs into a batch that are hard to tell apart:

    - clusters: at the start of an epoch, pairs are scanned, and greedily put into batches by their similarity. The
      scans double with every epoch.
    - neighbours: half of a batch are neighbours on the map of the other half (https://arxiv.org/abs/2303.11851).
    - similarity: the same with neighbours by similarity, from the second epoch on.

    Photos are not mirrored: the aerial image of a mirrored photo does not exist.
    """

    task = "cross_view"
    labelled = own_loss = True
    losses = CROSS_VIEW
    batches = "street_to_aerial compares street photos with aerial images"
    defaults: Mapping[str, object] = {
        "loss": "infonce",
        "aggregation": "spatial_softmax",
        "fc_output_dim": 1024,
        "train_all_layers": True,
        "image_size": [480, 640],
        "batch_size": 30,
        "epochs_num": 20,
        "lr": 1e-4,
        "clip_grad": 1.0,
        "augmentations": ["color_jitter"],
        "brightness": 0.3,
        "contrast": 0.3,
        "saturation": 0.3,
        "hue": 0.1,
    }
    conflicts = (
        dict.fromkeys(
            ("M", "alpha", "N", "L", "min_images_per_class", "groups_num"),
            "it compares photos with aerial images, without classes",
        )
        | dict.fromkeys(("miner", "miner_options"), "choose with --hard_examples")
        | dict.fromkeys(
            ("self_supervised_weight", "adaptation", "target_folder"), "it is for networks that see one kind of images"
        )
        | dict.fromkeys(("pretrained_model", "pretrained_model_file"), "it is a network of street photos alone")
        | dict.fromkeys(("matryoshka",), "its loss is between descriptors of two networks")
        | dict.fromkeys(("fc_init",), "its linear layers start from random weights")
        | dict.fromkeys(
            ("index", "positive_dist_threshold", "layout", "queries_folder", "resize_test_imgs"),
            "photos are located among the cells of a region",
        )
    )

    _aerial_at: tuple[np.ndarray, np.ndarray]  # middles of the aerial images of the last batch

    @classmethod
    def build(cls, settings: Any, images: Places, descriptor_dim: int, task: Any) -> PairContrast:
        """Builds the method from the settings of train.py, the training images and the tiles of the task."""
        chosen, looks = settings.method, settings.augmentation
        jitter = {name: getattr(looks, name) for name in ("brightness", "contrast", "saturation", "hue")}
        augment = Augmentation(["color_jitter"], **jitter) if "color_jitter" in looks.augmentations else None
        loss = make_loss(chosen.loss, chosen.loss_options, "none", {})
        seed, lr = settings.run.seed, settings.training.classifiers_lr
        crops = replace(settings.cross_view, levels=task.config["levels"])  # a checkpoint may have other ones
        if task.pairs is not None:
            return PairedImages.of(task, crops, loss, augment, seed, lr, chosen.method_options)
        return cls(
            images, task.region.aerial, loss, task.describe_pairs, crops, augment, seed, lr,
            **chosen.method_options,
        )  # fmt: skip

    @property
    def turned(self) -> bool:
        """Whether panoramas are turned: the heading of a photo is that of its middle."""
        return self.chosen.aerial_bearing != "heading"

    def inputs(self, pictures: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns what the network sees: photos, and pyramids (b, levels, 3, s, s) of aerial images of their places."""
        rows, chosen = labels.cpu().numpy(), self.chosen
        draws = torch.rand(len(rows), 3, dtype=torch.float64).numpy()
        bearing = 0.0 if chosen.aerial_bearing == "north" else 360 * draws[:, 0]
        if chosen.aerial_bearing == "heading":
            bearing = np.where(np.isfinite(self.places.heading[rows]), self.places.heading[rows], bearing)
        east, north = ((2 * draws[:, 1:] - 1) * chosen.aerial_offset / 1000).T
        self._aerial_at = from_local_km(east, north, *(column[rows] for column in self.degrees))
        pyramids, _ = self.aerial.pyramids(
            *self._aerial_at, chosen.metres_per_pixel, chosen.aerial_size, chosen.levels, bearing
        )
        return pictures, pyramids if self.augment is None else self._augmented(pyramids)

    def loss(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of descriptors (b, 2, d) of the photos `labels` (b,) and of their aerial images."""
        rows = labels.cpu().numpy()
        at = (column[rows] for column in self.degrees)
        apart = pairs_apart(*at, *self._aerial_at, metres=self.chosen.cell_size)
        return self._loss(*descriptors.unbind(1), apart.to(descriptors.device))
