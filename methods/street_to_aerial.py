"""Teaches street photos and aerial images of one place the same descriptor."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from augmentations.pipeline import Augmentation
from commons.distributed import from_main
from commons.errors import UsageError
from commons.sphere import from_local_km
from datasets.places import Places
from datasets.samplers import GivenBatches
from datasets.tiles.crops import AerialTiles
from losses import CROSS_VIEW
from losses.building import make_loss
from losses.cross_view import pairs_apart
from methods.pair_batches import PairBatches


class StreetToAerial:
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
            "photos are searched among the cells of a region",
        )
    )

    def __init__(
        self,
        places: Places,
        aerial: AerialTiles,
        loss: nn.Module,
        describe: Any,
        chosen: Any,
        augment: Augmentation | None,
        seed: int = 0,
        lr: float = 1e-3,
        *,
        scan: int = 16,
        neighbours: int = 32,
    ) -> None:
        """Args:
        places: the training photos.
        aerial: tiles on the device of the training.
        loss: of the registry losses.CROSS_VIEW.
        describe: as for `PairBatches`.
        chosen: settings of flags.cross_view.
        augment: of aerial images; None for none.
        seed: of the run.
        lr: learning rate of Adam for the parameters of the loss, such as a temperature.
        scan: batches that clusters are found in, in the second epoch; doubled with every epoch, at most to 4096.
        neighbours: of each pair, for --hard_examples neighbours and similarity.
        """
        self.degrees = tuple(np.ascontiguousarray(column) for column in places.degrees)
        self.heading = places.heading
        self.aerial, self.augment, self.chosen = aerial, augment, chosen
        self.pairs = PairBatches(
            chosen.hard_examples, self.degrees, describe, chosen.cell_size, scan, neighbours, seed
        )
        self._loss = loss.to(aerial.device)
        self.parameters = [parameter for parameter in loss.parameters() if parameter.requires_grad]
        self.optimizers = [torch.optim.Adam(self.parameters, lr=lr)] if self.parameters else []
        self._epoch, self._batches = -1, np.zeros((0, 0), np.int64)
        self._size = self._iterations = 0
        self._aerial_at: tuple[np.ndarray, np.ndarray] = self.degrees

    @classmethod
    def build(cls, settings: Any, images: Places, descriptor_dim: int, task: Any) -> "StreetToAerial":
        """Builds the method from the settings of train.py, the training images and the tiles of the task."""
        chosen, looks = settings.method, settings.augmentation
        jitter = {name: getattr(looks, name) for name in ("brightness", "contrast", "saturation", "hue")}
        augment = Augmentation(["color_jitter"], **jitter) if "color_jitter" in looks.augmentations else None
        loss = make_loss(chosen.loss, chosen.loss_options, "none", {})
        seed, lr = settings.run.seed, settings.training.classifiers_lr
        crops = replace(settings.cross_view, levels=task.config["levels"])  # a checkpoint may have other ones
        if task.pairs is not None:
            from methods.paired_images import PairedImages  # a subclass

            return PairedImages.of(task, crops, loss, augment, seed, lr, chosen.method_options)
        return cls(
            images, task.region.aerial, loss, task.describe_pairs, crops, augment, seed, lr,
            **chosen.method_options,
        )  # fmt: skip

    @staticmethod
    def check(batch_size: int, processes: int = 1, **_: int) -> None:
        """Raises UsageError if a process gets fewer than two pairs, or the shares are not equal."""
        if batch_size % processes or batch_size < 2 * processes:
            raise UsageError(
                f"--batch_size {batch_size}: each of the {processes} process(es) compares its pairs with each other; "
                f"give a multiple of {processes}, at least {2 * processes}"
            )

    def sampler(self, batch_size: int, iterations: int, seed: int, rank: int = 0, processes: int = 1) -> GivenBatches:
        """Returns the sampler of the batches; labels are rows of images.

        Raises:
            ArgumentError: if there are too few places for a batch.
        """
        self.check(batch_size, processes)
        self.pairs.check(batch_size)
        self._size, self._iterations = batch_size, iterations
        # The heading of a panorama is that of its middle, so it stays where it is.
        return GivenBatches(seed, rank, processes, shifted=self.chosen.aerial_bearing != "heading")

    def begin_epoch(self, epoch: int, device: torch.device) -> np.ndarray:
        """Returns the rows of photos in all batches of an epoch, int64 (iterations, batch_size)."""
        if epoch != self._epoch:
            # Of descriptors, the main process alone has all.
            drawn = self.pairs.draw(epoch, self._size, self._iterations)
            self._batches = from_main(drawn) if self.pairs.needs_descriptors(epoch) else drawn
            self._epoch = epoch
        return self._batches

    def inputs(self, pictures: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns what the network sees: photos, and pyramids (b, levels, 3, s, s) of aerial images of their places."""
        rows, chosen = labels.cpu().numpy(), self.chosen
        draws = torch.rand(len(rows), 3, dtype=torch.float64).numpy()
        bearing = 0.0 if chosen.aerial_bearing == "north" else 360 * draws[:, 0]
        if chosen.aerial_bearing == "heading":
            bearing = np.where(np.isfinite(self.heading[rows]), self.heading[rows], bearing)
        east, north = ((2 * draws[:, 1:] - 1) * chosen.aerial_offset / 1000).T
        self._aerial_at = from_local_km(east, north, *(column[rows] for column in self.degrees))
        pyramids, _ = self.aerial.pyramids(
            *self._aerial_at, chosen.metres_per_pixel, chosen.aerial_size, chosen.levels, bearing
        )
        return pictures, pyramids if self.augment is None else self._augmented(pyramids)

    def _augmented(self, pyramids: torch.Tensor) -> torch.Tensor:
        """Returns float pyramids, in which all images of a place have the same change of colours."""
        count, levels, _, side, _ = pyramids.shape
        images = self.augment(pyramids.transpose(1, 2).reshape(count, 3, levels * side, side))
        return images.view(count, 3, levels, side, side).transpose(1, 2)

    def loss(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of descriptors (b, 2, d) of the photos `labels` (b,) and of their aerial images."""
        rows = labels.cpu().numpy()
        at = (column[rows] for column in self.degrees)
        apart = pairs_apart(*at, *self._aerial_at, metres=self.chosen.cell_size)
        return self._loss(*descriptors.unbind(1), apart.to(descriptors.device))

    def end_epoch(self) -> None:
        """Does nothing."""

    def state_dict(self) -> dict:
        """Returns the number of photos, the loss with its optimizer, and the batches of this epoch."""
        kept = self.pairs.needs_descriptors(self._epoch)
        return {
            "images": len(self.degrees[0]),
            "loss": self._loss.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "epoch": self._epoch if kept else -1,
            "batches": torch.from_numpy(self._batches) if kept else None,
        }

    def load_state_dict(self, state: dict) -> None:
        """Restores the state that `state_dict` returned.

        Raises:
            RuntimeError, ValueError: if the number of photos or the loss differ.
        """
        if state["images"] != len(self.degrees[0]):
            raise ValueError(f"there were {state['images']} training images, now there are {len(self.degrees[0])}")
        self._loss.load_state_dict(state["loss"])
        for optimizer, own in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)
        self._epoch = state["epoch"]
        if state["batches"] is not None:
            self._batches = state["batches"].numpy()
