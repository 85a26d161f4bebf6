"""Augmentations of kornia (https://kornia.readthedocs.io), which draws for each image and works on whole batches.

kornia draws on the CPU and copies what it drew to a GPU without waiting for it. Its own probability would augment all
images and then choose, so each transform here has p = 1 and is given the chosen rows only (`FromLibrary`).
"""

import math

import torch
from kornia import augmentation as kornia
from kornia.filters import filter2d, get_motion_kernel2d
from kornia.geometry.transform import warp_affine, warp_perspective
from torch import nn
from torch.nn import functional as F

from augmentations.sometimes import FromLibrary, on, require, uniform

BLUR_PIXELS = 300_000
LEAST_SIGMA = 0.1
WET, DROP_LENGTH, SLANT, OPACITY = 0.12, 1 / 12, 1 / 3, 0.6


class Kornia(FromLibrary):
    """A transform of kornia."""

    def __init__(self, p: float, transform: nn.Module) -> None:
        super().__init__(p)
        # In a list, because `.to(device)` of a submodule would move its draws to that device.
        self.transforms = [transform]

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        return self.transforms[0](images)

    def draw_matrices(self, images: torch.Tensor) -> torch.Tensor:
        """Draws the matrices (b, 3, 3) of a geometric transform, which kornia itself would apply with black borders.

        Black borders tell a network which images are augmented, so those below are reflections.
        """
        (transform,) = self.transforms
        return transform.compute_transformation(images, transform.forward_parameters(images.shape), transform.flags)


class Perspective(Kornia):
    """Moves the four corners of an image inwards, each by its own draw (kornia's RandomPerspective).

    new(x) = old(H x), where the homography H takes the moved corners back. Sampled bilinearly; what comes from outside
    is reflected.
    """

    def __init__(self, *, distortion: float = 0.3, p: float = 0.5) -> None:
        """Args:
        distortion: corners move by up to this share of half the side, at most 1
        p: probability that an image is changed
        """
        require(f"perspective.distortion={distortion:g}", distortion <= 1, "between 0 and 1")
        super().__init__(p, kornia.RandomPerspective(distortion, p=1.0))

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        matrices, size = self.draw_matrices(images), tuple(images.shape[-2:])
        return warp_perspective(images, matrices, size, padding_mode="reflection").clamp_(0, 1)


class Rotation(Kornia):
    """Rotates about the centre by an angle uniform in [-degrees, degrees] (kornia's RandomRotation).

    new(x) = old(R x), sampled bilinearly; what comes from outside is reflected.
    """

    def __init__(self, *, degrees: float = 10.0, p: float = 1.0) -> None:
        """Args:
        degrees: largest angle to either side, at most 180
        p: probability that an image is rotated
        """
        require(f"rotation.degrees={degrees:g}", degrees <= 180, "between 0 and 180")
        super().__init__(p, kornia.RandomRotation(degrees, p=1.0))

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        matrices, size = self.draw_matrices(images)[:, :2], tuple(images.shape[-2:])
        return warp_affine(images, matrices, size, padding_mode="reflection").clamp_(0, 1)


class HorizontalFlip(Kornia):
    """Mirrors left and right: new(x, y) = old(w - 1 - x, y) (kornia's RandomHorizontalFlip).

    Streets are not symmetric: a mirrored place is another place, and its signs cannot be read.
    """

    def __init__(self, *, p: float = 0.5) -> None:
        """Args:
        p: probability that an image is mirrored
        """
        super().__init__(p, kornia.RandomHorizontalFlip(p=1.0))


class Blur(FromLibrary):
    """Gaussian blur as in SimCLR (https://arxiv.org/abs/2002.05709), kornia's RandomGaussianBlur.

    new = old * k, k(x) ~ exp(-x^2 / (2 s^2)) in both directions, s uniform in [0.1, sigma]. The kernel is cut at three
    times the largest sigma; borders are reflected.
    """

    def __init__(self, *, sigma: float = 2.0, p: float = 0.5) -> None:
        """Args:
        sigma: largest standard deviation in pixels of the training image
        p: probability that an image is blurred
        """
        super().__init__(p)
        self.sigma = sigma

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[-2:]
        sides = [2 * min(max(1, math.ceil(3 * self.sigma)), side - 1) + 1 for side in (height, width)]
        sigmas = [max(sigma, 1e-3) for sigma in (min(LEAST_SIGMA, self.sigma), self.sigma)]
        blur = kornia.RandomGaussianBlur(tuple(sides), tuple(sigmas), p=1.0)
        if images.device.type != "cpu":
            return blur(images).clamp_(0, 1)
        # On a CPU, large batches take twice as long in one piece.
        blocks = images.split(max(1, BLUR_PIXELS // (height * width)))
        return torch.cat([blur(block) for block in blocks]).clamp_(0, 1)


class MotionBlur(FromLibrary):
    """Motion blur: the mean of the image along a line, as of a moving camera (kornia's motion_blur).

    new = old * k, where k is a line with a length of 3, 5, ..., `length` pixels, at an angle uniform in [0, 360)
    degrees. Its weights rise linearly along the line, by a share uniform in [-1, 1]; borders are reflected.
    """

    def __init__(self, *, length: int = 15, p: float = 0.3) -> None:
        """Args:
        length: largest length in pixels of the training image, at least 3
        p: probability that an image is blurred
        """
        super().__init__(p)
        require(f"motion_blur.length={length}", length >= 3, "at least 3")
        self.length = length

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        kernels = on(self.draw_kernels(len(images), min(images.shape[-2:])), images.device)
        return filter2d(images, kernels, border_type="reflect").clamp_(0, 1)

    def draw_kernels(self, count: int, side: int) -> torch.Tensor:
        """Draws kernels (count, k, k) for images whose shorter side has so many pixels.

        kornia's RandomMotionBlur draws one length for the whole batch, so kernels are made one by one here.
        """
        largest = min((self.length - 1) // 2, side - 1)
        halves = torch.randint(1, largest + 1, (count,)).tolist()
        draws = zip(halves, uniform(count, 0, 360).split(1), uniform(count, -1, 1).split(1), strict=True)
        kernels = [
            F.pad(get_motion_kernel2d(2 * half + 1, angle, direction, "bilinear"), [largest - half] * 4)
            for half, angle, direction in draws
        ]
        return torch.cat(kernels)


class AutoContrast(Kornia):
    """Stretches each channel of an image to the whole range: new = (old - min) / (max - min) (kornia's)."""

    def __init__(self, *, p: float = 0.3) -> None:
        """Args:
        p: probability that an image is changed
        """
        super().__init__(p, kornia.RandomAutoContrast(p=1.0))


class Equalize(Kornia):
    """Equalizes the histogram of each channel of an image, in 256 steps (kornia's RandomEqualize)."""

    def __init__(self, *, p: float = 0.3) -> None:
        """Args:
        p: probability that an image is changed
        """
        super().__init__(p, kornia.RandomEqualize(p=1.0))


class Solarize(Kornia):
    """Inverts bright values: new = 1 - old where old >= t, with t uniform in [threshold, 1] (kornia's RandomSolarize).

    BYOL (https://arxiv.org/abs/2006.07733) trains with it.
    """

    def __init__(self, *, threshold: float = 0.5, p: float = 0.2) -> None:
        """Args:
        threshold: lowest threshold, at most 1
        p: probability that an image is changed
        """
        require(f"solarize.threshold={threshold:g}", threshold <= 1, "between 0 and 1")
        super().__init__(p, kornia.RandomSolarize((threshold, 1.0), (0.0, 0.0), p=1.0))


class ChannelDropout(Kornia):
    """Sets one or two of the three colour channels to 0 (kornia's RandomChannelDropout)."""

    def __init__(self, *, channels: int = 1, p: float = 0.2) -> None:
        """Args:
        channels: number of channels that are set to 0, 1 or 2
        p: probability that an image is changed
        """
        require(f"channel_dropout.channels={channels}", channels <= 2, "1 or 2")
        super().__init__(p, kornia.RandomChannelDropout(channels, p=1.0))


class Rain(FromLibrary):
    """Rain: light lines in front of the image (kornia's RandomRain).

    new = 0.4 old + 0.6 * 200 / 255 on the lines, which are one pixel wide. In each image all have one direction and one
    length, between a 24th and a twelfth of the height. Their number is uniform between 0 and what would cover 0.12
    amount of the image if all were longest. The numbers are our own, for images of any size.
    """

    def __init__(self, *, amount: float = 1.0, p: float = 0.3) -> None:
        """Args:
        amount: largest amount, at most 1
        p: probability that an image is changed
        """
        super().__init__(p)
        require(f"rain.amount={amount:g}", amount <= 1, "between 0 and 1")
        self.amount = amount

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[-2:]
        longest = max(1, round(DROP_LENGTH * height))
        slant = min(round(SLANT * longest), width - 1)
        drops = round(WET * self.amount * height * width / longest)
        rain = kornia.RandomRain((0, drops), (max(1, longest // 2), longest), (-slant, slant), p=1.0)
        return torch.lerp(images, rain(images), OPACITY)


class Snow(Kornia):
    """Snow cover: what is dark becomes light (kornia's RandomSnow).

    In HLS, lightness below c is multiplied by b, with c uniform in [amount / 2, amount] and b in [1.5, 2.5].
    """

    def __init__(self, *, amount: float = 0.5, p: float = 0.3) -> None:
        """Args:
        amount: largest lightness that is changed, at most 1
        p: probability that an image is changed
        """
        require(f"snow.amount={amount:g}", amount <= 1, "between 0 and 1")
        super().__init__(p, kornia.RandomSnow((amount / 2, amount), (1.5, 2.5), p=1.0))


class PlasmaShadow(Kornia):
    """Shadows with a fractal outline (https://arxiv.org/abs/2204.03776), kornia's RandomPlasmaShadow.

    new = max(0, old - s) where a fractal map is below q, with s uniform in [0, intensity] and q in [0.4, 0.6]. The map
    has values around 0.5, so about half of the image is in the shadow on average.
    """

    def __init__(self, *, intensity: float = 0.25, p: float = 0.3) -> None:
        """Args:
        intensity: largest value that is subtracted in the shadow, at most 1
        p: probability that an image is changed
        """
        require(f"plasma_shadow.intensity={intensity:g}", intensity <= 1, "between 0 and 1")
        super().__init__(p, kornia.RandomPlasmaShadow((0.1, 0.7), (-intensity, 0.0), (0.4, 0.6), p=1.0))
