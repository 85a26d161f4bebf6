"""Teaches photos and aerial images of one place the same descriptor, from pairs of files."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from augmentations.pipeline import Augmentation
from commons.errors import ArgumentError
from datasets.cross_view.aerial_files import AerialFiles
from datasets.cross_view.layout import PairedSet
from datasets.places import Degrees, Places
from methods.pair_contrast import PairContrast

APART = 0.1  # degrees between places that stand for unknown ones


class PairedImages(PairContrast):
    """street_to_aerial with an aerial image in a file instead of tiles.

    A pass has one photo of each aerial image, or of each place of 5 m where positions are known. The positives and
    semi-positives of a photo are no negatives of it. With --aerial_bearing random, aerial images are turned by quarters
    of a circle and panoramas by any angle; with north both stay as they are in the files.
    """

    def __init__(self, pairs: PairedSet, aerial: AerialFiles, *others: Any, **options: int) -> None:
        """Args:
        pairs: the training pairs.
        aerial: their aerial images.
        others, options: as for `PairContrast`.
        """
        self._partner = pairs.positives.rows[pairs.positives.offsets[:-1]]
        self._references, self._shown = len(pairs.references), _keys(pairs)
        self._rows = np.zeros(0, np.int64)
        places = replace(pairs.queries, given_degrees=_positions(pairs, self._partner), given_utm=None)
        super().__init__(places, aerial, *others, **options)
        located = bool(pairs.queries.located.all())
        if self.chosen.aerial_bearing == "heading":
            raise ArgumentError("aerial_bearing", f"heading needs tiles; use north or random with {pairs.name}")
        if self.chosen.hard_examples == "neighbours" and not located:
            raise ArgumentError(
                "hard_examples", f"neighbours needs positions, which {pairs.name} does not have; use similarity"
            )

    @classmethod
    def of(
        cls, task: Any, chosen: Any, loss: nn.Module, augment: Augmentation | None, seed: int, lr: float, options: dict
    ) -> "PairedImages":
        """Builds the method for the pairs of a task; the other arguments are those of `PairContrast`."""
        aerial = AerialFiles(task.pairs.references, chosen.aerial_size, task.accelerator.device)
        return cls(task.pairs, aerial, loss, task.describe_pairs, chosen, augment, seed, lr, **options)

    def inputs(self, pictures: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns what the network sees: photos, and their aerial images (b, 1, 3, s, s)."""
        rows = labels.cpu().numpy()
        images, which = self.aerial.read(self._partner[rows])
        self._rows = rows[which]
        quarters = torch.randint(4, (len(rows),)).tolist()
        if self.chosen.aerial_bearing == "random":
            images = torch.stack([image.rot90(k, (1, 2)) for image, k in zip(images, quarters, strict=True)])
        images = images[:, None]
        photos = pictures[torch.from_numpy(which).to(pictures.device)]
        return photos, images if self.augment is None else self._augmented(images)

    def loss(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of descriptors (b, 2, d) of the last photos and of their aerial images."""
        return self._loss(*descriptors.unbind(1), self.apart(self._rows).to(descriptors.device))

    def apart(self, rows: np.ndarray) -> torch.Tensor:
        """Returns whether the aerial image of photo j does not show the place of photo i, bool (b, b)."""
        wanted = rows[:, None] * self._references + self._partner[rows][None]
        at = np.minimum(np.searchsorted(self._shown, wanted), len(self._shown) - 1)
        return torch.from_numpy(self._shown[at] != wanted)


def _keys(pairs: PairedSet) -> np.ndarray:
    """Returns query * references + reference of all positives and semi-positives, ascending int64."""
    keys = []
    for lists in filter(None, (pairs.positives, pairs.semi_positives)):
        owners = np.repeat(np.arange(len(pairs.queries)), np.diff(lists.offsets))
        keys.append(owners * len(pairs.references) + lists.rows)
    return np.unique(np.concatenate(keys))


def _positions(pairs: PairedSet, partner: np.ndarray) -> Degrees:
    """Returns the positions of photos, or a place for each aerial image, far from all others, if one is unknown."""
    places: Places = pairs.queries
    if places.located.all():
        return places.degrees
    return Degrees(APART * (partner // 1000) - 45, APART * (partner % 1000))
