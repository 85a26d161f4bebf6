"""GeoCLIP's loss between images and positions."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from commons.sphere_tensors import moved, tangents, to_degrees, unit_vectors

MOST_SCALE = 100.0  # of the logits, as in CLIP (https://arxiv.org/abs/2103.00020, section 2.5)


class LocationContrast(nn.Module):
    """Cross entropy from each image to positions (GeoCLIP, https://arxiv.org/abs/2309.16020, eq. 3).

    With the normalised embedding v_i of image i, and l_j of its batch's positions and of S earlier ones in a queue,

        loss = -log( e^(s v_i . l_i) / sum over j of e^(s v_i . l_j) ),     s = min(e^t, 100), t learned

    The queue holds coordinates, first in, first out, and they are encoded anew in each step. It is empty at first.
    Gaussian noise moves the coordinates of the batch and, more, those of the queue, so they are never twice the same.

    With a hardness b above 0, negatives count by how similar they are to the image: with N of them, the sum over j != i
    is multiplied term by term with

        w_ij = N e^(b s v_i . l_j) / sum over k != i of e^(b s v_i . l_k),

    which have a mean of 1 and get no gradient (https://arxiv.org/abs/2010.04592, without the term for false negatives).
    """

    def __init__(
        self,
        *,
        queue: int = 4096,
        temperature: float = 0.07,
        noise_m: float = 150.0,
        queue_noise_m: float = 1000.0,
        hardness: float = 0.0,
    ) -> None:
        """Args:
        queue: earlier positions.
        temperature: 1 / s at first.
        noise_m: standard deviation to the east and to the north of the batch's positions in metres.
        queue_noise_m: standard deviation of the noise on the positions of the queue, in metres.
        hardness: hardness of the negatives; 0 for equal weights.
        """
        super().__init__()
        self.hardness = hardness
        self.noise_m, self.queue_noise_m = noise_m, queue_noise_m
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / temperature)))
        self.register_buffer("queue", torch.full((queue, 2), math.nan))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(
        self, images: torch.Tensor, degrees: torch.Tensor, encode: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """Returns the scalar loss, and appends the positions to the queue.

        Args:
            images: embeddings, (b, d), of any length.
            degrees: latitudes and longitudes of the images, float (b, 2).
            encode: the location encoder, from degrees, float32 (n, 2), to embeddings (n, d).
        """
        filled = self.queue[: min(int(self.seen), len(self.queue))]
        positions = torch.cat([add_noise(degrees, self.noise_m), add_noise(filled, self.queue_noise_m)])
        locations = normalize(encode(positions).float(), dim=1)
        scale = self.log_scale.exp().clamp(max=MOST_SCALE)
        logits = scale * normalize(images.float(), dim=1) @ locations.T
        self._append(degrees)
        if self.hardness:
            logits = logits + _log_weights(logits.detach(), self.hardness)
        return cross_entropy(logits, torch.arange(len(images), device=logits.device))

    @torch.no_grad()
    def _append(self, degrees: torch.Tensor) -> None:
        newest = degrees[-len(self.queue) :].to(self.queue)
        first = int(self.seen) + len(degrees) - len(newest)
        rows = (first + torch.arange(len(newest), device=newest.device)) % len(self.queue)
        self.queue[rows] = newest
        self.seen += len(degrees)


def _log_weights(logits: torch.Tensor, hardness: float) -> torch.Tensor:
    """Returns the logarithms of the weights of negatives, (b, n), and 0 for the positives on the diagonal."""
    positive = torch.eye(*logits.shape, dtype=torch.bool, device=logits.device)
    weights = (hardness * logits).masked_fill(positive, -math.inf).log_softmax(dim=1) + math.log(logits.shape[1] - 1)
    return weights.masked_fill(positive, 0.0)


@torch.no_grad()
def add_noise(degrees: torch.Tensor, metres: float) -> torch.Tensor:
    """Returns positions, float32 (n, 2), moved by Gaussian noise to the east and to the north.

    Args:
        degrees: latitudes and longitudes, (n, 2).
        metres: standard deviation in each direction; the draws are from PyTorch's CPU generator.
    """
    if metres == 0 or not len(degrees):
        return degrees.float()
    exact = degrees.double()
    km = (torch.randn(len(degrees), 2) * metres / 1000).to(exact)
    return to_degrees(moved(unit_vectors(exact), tangents(exact), km)).float()
