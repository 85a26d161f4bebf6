"""Wrappers for test time: several scales or crops of an image, and ensembles of networks."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.v2.functional import center_crop, five_crop

from commons.errors import ArgumentError

PROBE = 256
CROPS = 5


class Ensemble(nn.Module):
    """The unit descriptors of several networks, concatenated and renormalised.

    The cosine of two such descriptors is the mean of the members' cosines.
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        """Takes networks that map images to unit descriptors and have a `descriptor_dim`, which may differ."""
        super().__init__()
        self.members = nn.ModuleList(members)
        self.descriptor_dim = sum(member.descriptor_dim for member in self.members)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (b, 3, h, w) to unit (b, descriptor_dim)."""
        return torch.cat([member(images) for member in self.members], dim=1) / math.sqrt(len(self.members))

    def parts(self) -> list[tuple[int, int]]:
        """The first dimension of each member in the descriptor, and the first one after it."""
        ends = list(itertools.accumulate((member.descriptor_dim for member in self.members), initial=0))
        return list(itertools.pairwise(ends))


class MultiScale(nn.Module):
    """Mean of an image's descriptors at several scales, L2-normalised (https://arxiv.org/abs/1711.02512).

        d = sum_s f(image resized by s) / |...|

    The mean is a plain one: a power mean needs descriptors without negative values.
    """

    def __init__(self, network: nn.Module, scales: Sequence[float]) -> None:
        """Wraps a `GeoLocalizationNet`.

        Raises:
            ArgumentError: if it takes images of one size only.
        """
        super().__init__()
        if getattr(network.backbone, "fixed_size", None):
            height, width = network.backbone.fixed_size
            raise ArgumentError(
                "multi_scale", f"this backbone resizes all images to {height}x{width}, so scales have no effect"
            )
        self.network, self.scales, self.stride = network, tuple(scales), stride(network)
        self.descriptor_dim = network.descriptor_dim

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (b, 3, h, w), uint8 or float between 0 and 1, to unit (b, descriptor_dim).

        Raises:
            ArgumentError: if an image would be smaller than one position of the network's map.
        """
        return F.normalize(sum(self.network(self._resized(images, scale)) for scale in self.scales), dim=1)

    def _resized(self, images: torch.Tensor, scale: float) -> torch.Tensor:
        if scale == 1:
            return images
        size = [round(side * scale) for side in images.shape[-2:]]
        _check_side("multi_scale", scale, min(size), self.stride, images)
        pixels = images / 255 if images.dtype == torch.uint8 else images
        return F.interpolate(pixels, size=size, mode="bilinear", antialias=True)


class FiveCrops(nn.Module):
    """Mean of the descriptors of five square crops, at the corners and in the centre, L2-normalised.

    With crops as large as the shorter side it is "five crops" of https://arxiv.org/abs/2204.03444, which is used for
    queries but not for the database. The crops of a square image are the image itself, which is passed once.
    """

    def __init__(self, network: nn.Module, share: float = 1.0) -> None:
        """Wraps a `GeoLocalizationNet` or a `MultiScale`; `share` is the crops' side in shorter sides of the image."""
        super().__init__()
        self.network, self.share = network, share
        self.stride = network.stride if isinstance(network, MultiScale) else stride(network)
        self.descriptor_dim = network.descriptor_dim

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (b, 3, h, w), uint8 or float between 0 and 1, to unit (b, descriptor_dim).

        Raises:
            ArgumentError: if a crop is smaller than one position of the network's map.
        """
        side = round(self.share * min(images.shape[-2:]))
        if (side, side) == images.shape[-2:]:
            return self.network(images)
        _check_side("five_crops", self.share, side, self.stride, images)
        return F.normalize(sum(self.network(crop) for crop in five_crop(images, [side, side])), dim=1)


class CropsApart(nn.Module):
    """The descriptors of five square crops, at the corners and in the centre, side by side.

    For the tests "nearest crop" and "majority voting" of https://arxiv.org/abs/2204.03444, which search with each crop.
    """

    def __init__(self, network: nn.Module, share: float = 1.0) -> None:
        """Wraps a `GeoLocalizationNet`, a `MultiScale` or an `Ensemble`; `share` is as for `FiveCrops`."""
        super().__init__()
        self.network, self.share = network, share
        members = getattr(network, "members", [network])
        self.stride = max(own.stride if isinstance(own, MultiScale) else stride(own) for own in members)
        self.descriptor_dim = CROPS * network.descriptor_dim

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (b, 3, h, w), uint8 or float between 0 and 1, to (b, 5 * the network's dimension).

        Raises:
            ArgumentError: if a crop is smaller than one position of the network's map.
        """
        side = round(self.share * min(images.shape[-2:]))
        if (side, side) == images.shape[-2:]:
            return self.network(images).repeat(1, CROPS)
        _check_side("five_crops", self.share, side, self.stride, images)
        return torch.cat([self.network(crop) for crop in five_crop(images, [side, side])], dim=1)


class CentralCrop(nn.Module):
    """The centre of an image in the shape of the database's images: "central crop" of https://arxiv.org/abs/2204.03444.

    Images are resized, keeping their aspect ratio, so that they just cover this size, and then cropped.
    """

    def __init__(self, network: nn.Module, size: Sequence[int]) -> None:
        """Wraps a network; `size` is height and width in pixels."""
        super().__init__()
        self.network, self.size = network, list(size)
        self.descriptor_dim = network.descriptor_dim

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (b, 3, h, w), uint8 or float between 0 and 1, to unit (b, descriptor_dim)."""
        own = images.shape[-2:]
        scale = max(wanted / side for wanted, side in zip(self.size, own, strict=True))
        size = [max(wanted, round(side * scale)) for wanted, side in zip(self.size, own, strict=True)]
        if size != list(own):
            pixels = images / 255 if images.dtype == torch.uint8 else images
            images = F.interpolate(pixels, size=size, mode="bilinear", antialias=True)
        return self.network(center_crop(images, self.size))


def keep_first(network: nn.Module, dim: int) -> nn.Module:
    """Makes a network return the first `dim` dimensions of its descriptors, divided by their length; returns it.

    Raises:
        ArgumentError: if it has fewer.
    """
    if dim > network.descriptor_dim:
        raise ArgumentError(
            "first_dimensions", f"{dim} is too many: the descriptors have {network.descriptor_dim} dimensions; lower it"
        )
    network.register_forward_hook(lambda module, images, descriptors: F.normalize(descriptors[:, :dim], dim=1))
    network.descriptor_dim = dim
    return network


def for_each_member(network: nn.Module, wrap: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Wraps a network or, of an ensemble, each member."""
    return Ensemble(map(wrap, network.members)) if isinstance(network, Ensemble) else wrap(network)


@torch.no_grad()
def stride(network: nn.Module) -> int:
    """Returns how many pixels of the image belong to one position of the feature map of a network with a `backbone`."""
    device = next(network.parameters()).device
    return PROBE // network.eval().backbone(torch.zeros(1, 3, PROBE, PROBE, device=device)).shape[-1]


def _check_side(parameter: str, value: float, side: int, least: int, images: torch.Tensor) -> None:
    if side < least:
        height, width = images.shape[-2:]
        raise ArgumentError(
            parameter,
            f"{value:g} reduces the shorter side of an image of {width}x{height} to {side} pixels, fewer than the "
            f"{least} of one position of the network's feature map; raise it, or `image_size`",
        )
