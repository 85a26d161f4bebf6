"""Training of a decoder from location embeddings to positions; no images are needed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from commons.devices import autocast
from commons.errors import ArgumentError
from commons.options import check_name
from commons.sphere_tensors import unit_vectors
from losses.location import POSITION_LOSSES
from model.location.decoder import LocationDecoder
from training.optimizers import build_optimizer
from training.schedules import SCHEDULES


@dataclass(frozen=True)
class DecoderRecipe:
    """How a decoder is trained.

    Attributes:
        iterations: number of batches; None trains for `seconds`.
        seconds: of processor time, over which the learning rate falls, too.
        batch_size: positions per batch.
        optimizer, lr, weight_decay: of `training.optimizers`.
        scheduler: of `training.schedules`, a function of the share of the training that is done.
        loss: one of `losses.location.POSITION_LOSSES`.
        precision: "fp32", "bf16" or "fp16" of the layers; the position is always fp32.
        seed: of the order of positions.
    """

    iterations: int | None = None
    seconds: float = 120.0
    batch_size: int = 2048
    optimizer: str = "muon"
    lr: float = 2e-2
    weight_decay: float = 1e-2
    scheduler: str = "onecycle"
    loss: str = "chord"
    precision: str = "fp32"
    seed: int = 0

    def __post_init__(self) -> None:
        check_name("loss", self.loss, POSITION_LOSSES)
        check_name("scheduler", self.scheduler, SCHEDULES)
        if self.iterations is None and self.seconds <= 0:
            raise ArgumentError("seconds", f"{self.seconds:g} is not above 0")


class DecoderTraining:
    """A training that can stop and continue. With `iterations`, a continued one ends with the same bits.

    Attributes:
        decoder: that is trained.
        iteration: batches so far.
        seconds: of processor time so far.
    """

    def __init__(
        self, decoder: LocationDecoder, degrees: torch.Tensor, embeddings: torch.Tensor, recipe: DecoderRecipe
    ) -> None:
        """Args:
        decoder: on its device; its frame is turned to the region.
        degrees: training positions, (n, 2).
        embeddings: of them, float32 (n, d), on any device; batches are copied to the decoder's.
        recipe: of the training.
        """
        self.decoder, self.embeddings, self.recipe = decoder, embeddings, recipe
        vectors = unit_vectors(degrees.double())
        decoder.set_region(vectors)
        self.vectors = vectors.float().to(embeddings.device)
        self.optimizer = build_optimizer(decoder, recipe.optimizer, recipe.lr, recipe.weight_decay)
        self.loss = POSITION_LOSSES[recipe.loss]()
        self.iteration, self.seconds, self._order = 0, 0.0, (-1, torch.empty(0))

    @property
    def progress(self) -> float:
        """The share of the training that is done, 0 to 1."""
        wanted = self.recipe.iterations
        return min(1.0, self.seconds / self.recipe.seconds if wanted is None else self.iteration / wanted)

    def train(self, pause: Callable[[], bool] = lambda: False, every: float = 10.0) -> None:
        """Trains to the end.

        Args:
            pause: called every so many seconds of processor time and at the end; if it returns True, this returns.
            every: seconds of processor time.
        """
        self.decoder.train()
        last = paused = time.process_time()
        while self.progress < 1:
            self._step()
            now = time.process_time()
            self.seconds, last = self.seconds + now - last, now
            if now - paused >= every or self.progress == 1:
                if pause():
                    break
                self.decoder.train()
                last = paused = time.process_time()
        self.decoder.eval()

    def state_dict(self) -> dict[str, Any]:
        """Returns all that a continued training needs beside its arguments."""
        return {
            "decoder": self.decoder.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": self.iteration,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a state of `state_dict`."""
        self.decoder.load_state_dict(state["decoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration, self.seconds = state["iteration"], state["seconds"]

    def _step(self) -> None:
        rows, device = self._rows(), next(self.decoder.parameters()).device
        factor = SCHEDULES[self.recipe.scheduler](self.progress)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.lr * factor
        with autocast(device, self.recipe.precision):
            predicted = self.decoder(self.embeddings[rows].to(device))
        loss = self.loss(predicted, self.vectors[rows].to(device))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.iteration += 1

    def _rows(self) -> torch.Tensor:
        """Returns the positions of the batch: each once in an epoch, in an order of (seed, epoch)."""
        count = len(self.vectors)
        size = min(self.recipe.batch_size, count)
        epoch, batch = divmod(self.iteration, count // size)
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + epoch)
            self._order = epoch, torch.randperm(count, generator=generator)
        return self._order[1][batch * size : (batch + 1) * size]
