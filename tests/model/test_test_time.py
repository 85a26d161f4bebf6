from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from commons.errors import ArgumentError
from model.network import GeoLocalizationNet
from model.test_time import (
    CentralCrop,
    CropsApart,
    Ensemble,
    FiveCrops,
    MultiScale,
    for_each_member,
    keep_first,
    stride,
)


@pytest.fixture(scope="module")
def network() -> GeoLocalizationNet:
    torch.manual_seed(0)
    return GeoLocalizationNet("MobileNet_V3_Small", 16).eval()


def pictures(height: int, width: int) -> torch.Tensor:
    torch.manual_seed(1)
    coarse = torch.randint(0, 256, (2, 3, 4, 4)).float()
    return F.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 255).round().to(torch.uint8)


class Seen(nn.Module):
    """Notes what it is given, and gives each image's first corner's colour as its descriptor."""

    descriptor_dim = 3

    def __init__(self) -> None:
        super().__init__()
        self.images: list[torch.Tensor] = []
        self.weight = nn.Parameter(torch.zeros(1))

    def backbone(self, images: torch.Tensor) -> torch.Tensor:
        return images[..., ::16, ::16]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.images.append(images)
        return F.normalize(images[..., 0, 0].float(), dim=1)


@torch.no_grad()
def test_multi_scale_is_the_mean_by_hand(network: GeoLocalizationNet):
    images = pictures(96, 128)
    small, large = (
        F.interpolate(images / 255, size=size, mode="bilinear", antialias=True) for size in ((64, 85), (144, 192))
    )
    mean = (network(small) + network(images) + network(large)) / 3
    found = MultiScale(network, (0.664, 1.0, 1.5))(images)
    assert torch.allclose(found, mean / mean.norm(dim=1, keepdim=True), atol=1e-6)
    assert torch.allclose(MultiScale(network, (0.664, 1.0, 1.5))(images / 255), found, atol=1e-5)
    assert not torch.allclose(found, network(images), atol=1e-3)


def test_scales_and_sizes():
    seen = Seen()
    MultiScale(seen, (0.5, 1.0, 2.0))(pictures(64, 80))
    assert [tuple(images.shape[-2:]) for images in seen.images] == [(32, 40), (64, 80), (128, 160)]
    assert seen.images[1].dtype == torch.uint8  # at its own size an image is passed on as it is


@pytest.mark.parametrize(("height", "width", "share"), [(60, 90, 1.0), (90, 60, 1.0), (60, 60, 0.75), (60, 90, 0.5)])
def test_five_crops_lie_at_the_corners_and_in_the_centre(height: int, width: int, share: float):
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    images = torch.stack([rows, columns, torch.full_like(rows, 50)])[None].to(torch.uint8)
    seen = Seen()
    found = FiveCrops(seen, share)(images)
    side = round(share * min(height, width))
    bottom, right = height - side, width - side
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (round(bottom / 2), round(right / 2))]
    assert [tuple(crop.shape[-2:]) for crop in seen.images] == [(side, side)] * 5
    assert sorted((int(c[0, 0, 0, 0]), int(c[0, 1, 0, 0])) for c in seen.images) == sorted(corners)
    colours = torch.tensor([[top, left, 50.0] for top, left in corners])
    assert torch.allclose(found, F.normalize(F.normalize(colours, dim=1).mean(dim=0, keepdim=True), dim=1))


@pytest.mark.parametrize(("height", "width", "share"), [(60, 90, 1.0), (60, 60, 0.75)])
def test_crops_apart_are_those_of_five_crops_side_by_side(height: int, width: int, share: float):
    seen, mean = Seen(), Seen()
    images = pictures(height, width)
    found = CropsApart(seen, share)(images)
    FiveCrops(mean, share)(images)
    assert all(torch.equal(own, other) for own, other in zip(seen.images, mean.images, strict=True))
    for number, crop in enumerate(mean.images):
        assert torch.equal(found[:, 3 * number : 3 * number + 3], F.normalize(crop[..., 0, 0].float(), dim=1))
    assert torch.equal(CropsApart(Seen())(pictures(64, 64)), Seen()(pictures(64, 64)).repeat(1, 5))


def test_a_central_crop_covers_the_size_of_the_database():
    """A ramp from left to right, 64x128: half of it fills 64x64, all of it 64x128, and resized 32x48 its middle."""
    ramp = torch.arange(128).expand(1, 3, 64, 128).to(torch.uint8)
    for size, first, last in (((64, 64), 32, 95), ((64, 128), 0, 127), ((128, 128), 32, 95)):
        seen = Seen()
        CentralCrop(seen, size)(ramp)
        (crop,) = seen.images
        assert tuple(crop.shape[-2:]) == size
        row = (crop if crop.dtype == torch.uint8 else 255 * crop)[0, 0, 0].float()
        assert row[0] == pytest.approx(first, abs=0.51) and row[-1] == pytest.approx(last, abs=0.51)
    seen = Seen()
    CentralCrop(seen, (48, 32))(ramp)
    resized = F.interpolate(ramp / 255, size=(48, 96), mode="bilinear", antialias=True)
    assert torch.equal(seen.images[0], resized[..., 32:64])
    assert CentralCrop(seen, (48, 32)).descriptor_dim == 3


def test_a_square_image_is_its_own_crop():
    seen = Seen()
    images = pictures(64, 64)
    assert torch.equal(FiveCrops(seen)(images), Seen()(images))
    assert len(seen.images) == 1


@torch.no_grad()
def test_an_ensemble_is_the_concatenation(network: GeoLocalizationNet):
    torch.manual_seed(2)
    other = GeoLocalizationNet("EfficientNet_Lite0", 8).eval()
    images = pictures(64, 64)
    ensemble = Ensemble([network, other])
    assert ensemble.descriptor_dim == 24
    assert ensemble.parts() == [(0, 16), (16, 24)]
    descriptors, first, second = (model(images) for model in (ensemble, network, other))
    both = torch.cat([first, second], dim=1)
    assert torch.allclose(descriptors, F.normalize(both, dim=1), atol=1e-6)
    cosines = (first[0] @ first[1] + second[0] @ second[1]) / 2
    assert torch.allclose(descriptors[0] @ descriptors[1], cosines, atol=1e-6)


def test_each_member_is_wrapped(network: GeoLocalizationNet):
    wrapped = for_each_member(Ensemble([network, network]), lambda member: MultiScale(member, (0.5, 1)))
    assert [type(member) for member in wrapped.members] == [MultiScale, MultiScale]
    assert isinstance(for_each_member(network, FiveCrops), FiveCrops)
    assert FiveCrops(MultiScale(network, (0.5, 1))).descriptor_dim == 16


@pytest.mark.parametrize(("backbone", "pixels"), [("MobileNet_V3_Small", 32), ("timm:vit_tiny_patch16_224", 16)])
def test_stride(backbone: str, pixels: int):
    assert stride(GeoLocalizationNet(backbone, 0)) == pixels


@torch.no_grad()
def test_what_leaves_too_little_of_an_image_is_refused(network: GeoLocalizationNet):
    images = pictures(64, 96)
    MultiScale(network, (0.5,))(images)
    with pytest.raises(ArgumentError, match="`multi_scale`: 0.45 .* 96x64 to 29 pixels, fewer than the 32"):
        MultiScale(network, (1, 0.45))(images)
    with pytest.raises(ArgumentError, match="`five_crops`: 0.25 .* to 16 pixels"):
        FiveCrops(network, 0.25)(images)
    with pytest.raises(ArgumentError, match="`multi_scale`: 0.5 .* to 24 pixels"):
        FiveCrops(MultiScale(network, (0.5,)), 0.75)(images)


def test_scales_of_a_network_with_one_size_are_refused():
    fixed = nn.Module()
    fixed.backbone = nn.Identity()
    fixed.backbone.fixed_size = [224, 224]
    with pytest.raises(ArgumentError, match="`multi_scale`: this backbone resizes all images to 224x224"):
        MultiScale(fixed, (0.5, 1))


@torch.no_grad()
def test_first_dimensions_are_cut_and_have_length_one(network: GeoLocalizationNet):
    images, own = pictures(64, 80), deepcopy(network)
    names = list(own.state_dict())
    whole = own(images)
    assert keep_first(own, 5) is own
    assert torch.equal(own(images), F.normalize(whole[:, :5], dim=1))
    assert own.descriptor_dim == 5 and list(own.state_dict()) == names
    assert MultiScale(own, (1.0, 0.5)).descriptor_dim == Ensemble([own]).descriptor_dim == 5
    assert MultiScale(own, (1.0, 0.9))(images).shape == (2, 5)
    with pytest.raises(ArgumentError, match="17 is too many: the descriptors have 16 dimensions"):
        keep_first(deepcopy(network), 17)
