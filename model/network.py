"""The network that maps images to descriptors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import nn

from commons.errors import ArgumentError, PlacewiseError, first_line
from commons.options import check_name
from commons.pca import principal_components
from model.aggregation import AGGREGATIONS
from model.backbones import BACKBONE_NAMES
from model.backbones.building import build_backbone, freeze_blocks, freeze_first_blocks
from model.backbones.common import features_of_size, is_too_small

# Backbones of the reference implementation and of its forks, which save state dicts without a configuration.
REFERENCE_FAMILIES = ("VGG", "ResNet", "EfficientNet_B", "EfficientNet_V2")
# The exponent of half whitening, and the least variance that is divided by.
HALF, LEAST_VARIANCE = 0.25, 1e-12
# Arguments of GeoLocalizationNet that the configuration of a checkpoint holds.
SETTINGS = ("backbone", "cut_after", "fc_output_dim", "aggregation", "aggregation_options", "mean", "std")


def network_settings(config: Mapping[str, object]) -> dict[str, object]:
    """Returns the arguments of `GeoLocalizationNet` that a configuration holds and that are not None."""
    return {name: config[name] for name in SETTINGS if config.get(name) is not None}


class GeoLocalizationNet(nn.Module):
    """Backbone, then aggregation: images to L2-normalised descriptors.

    State dicts have the keys of the reference implementation (`backbone.*`, `aggregation.1.p`,
    `aggregation.3.weight`), so published CosPlace weights load without renaming.
    """

    def __init__(
        self,
        backbone: str = "ResNet18",
        fc_output_dim: int | None = None,
        aggregation: str = "gem",
        aggregation_options: dict[str, int | float] | None = None,
        train_all_layers: bool = False,
        num_trainable_blocks: int | None = None,
        freeze_batch_norm: bool = False,
        cut_after: str | None = None,
        freeze: Sequence[str] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        """Builds the network with random weights.

        Args:
            backbone: name as in `model.backbones`.
            fc_output_dim: outputs of the aggregation's linear layer, 0 for none; None for the aggregation's default
                (512, or what its options give).
            aggregation: name as in `model.aggregation`.
            aggregation_options: keyword arguments of its constructor that differ from the defaults.
            train_all_layers: train the whole backbone instead of its last blocks only.
            num_trainable_blocks: how many of the backbone's last blocks are trained; None for those that CosPlace
                trains.
            freeze_batch_norm: do not update running means and variances in training.
            cut_after: the block that the backbone ends with; None for the whole backbone.
            freeze: names of the backbone's blocks that are not trained, while all others are; None to use the two
                arguments above.
            mean, std: of each channel between 0 and 1, where the weights need others than the backbone's.

        Raises:
            ArgumentError: if a name is unknown, or backbone, aggregation and dimension do not fit together.
        """
        super().__init__()
        self.backbone = build_backbone(backbone, cut_after)
        check_name("aggregation", aggregation, AGGREGATIONS)
        options = dict(aggregation_options or {})
        if fc_output_dim is not None:
            options["descriptor_dim"] = fc_output_dim
        self.aggregation = AGGREGATIONS[aggregation](self.backbone.channels, **options)
        self.descriptor_dim = self.aggregation.descriptor_dim
        self.needs_class_token = getattr(self.aggregation, "needs_class_token", False)
        if self.needs_class_token and not self.backbone.has_class_token:
            cut = "" if cut_after is None else f" cut after {cut_after}"
            raise ArgumentError(
                "aggregation",
                f"{aggregation} needs a class token, which `backbone` {backbone}{cut} does not have; use `backbone` "
                "ViT_B_16, or `aggregation` attention, which works with any backbone",
            )
        self._check_tokens(aggregation, backbone)
        self.freeze_batch_norm = freeze_batch_norm
        for name, values in (("mean", mean or self.backbone.mean), ("std", std or self.backbone.std)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)
        if freeze is not None:
            freeze_blocks(self.backbone, freeze)
        elif not train_all_layers:
            freeze_first_blocks(self.backbone, num_trainable_blocks)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Calls `forward`, also when compiled or in a wrapper.

        Raises:
            PlacewiseError: if the images are too small for the backbone.
        """
        try:
            return super().__call__(images)
        except PlacewiseError:
            raise
        except Exception as error:
            height, width = images.shape[-2:]
            if is_too_small(self.backbone, height, width):
                raise PlacewiseError(
                    f"an image of {width}x{height} pixels is too small for this backbone ({first_line(error)}); "
                    "resize images with `resize_test_imgs`, or leave it out"
                ) from error
            raise

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Extracts the descriptors of images.

        Args:
            images: (b, 3, h, w), uint8 or float between 0 and 1; they are normalised here for the backbone.

        Returns:
            float32 (b, descriptor_dim) of unit length.
        """
        features = self.features(images)
        # Nothing after a descriptor averages its rounding away, so bf16 ends at the feature map.
        with torch.autocast(features.device.type, enabled=False):
            return self.aggregation(features.float())

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the input of the aggregation: the backbone's feature map, (b, channels, h', w'), or its tokens,
        (b, channels, 1 + h' * w') or (b, channels, 1 + h', w')."""
        images = self.normalised(images)
        if not self.needs_class_token:
            return self.backbone(images)
        tokens = self.backbone.tokens(images)
        return self._on_grid(tokens, *images.shape[-2:]) if getattr(self.aggregation, "needs_grid", False) else tokens

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Returns images (b, 3, h, w), uint8 or float between 0 and 1, with the backbone's mean and deviation."""
        full = 255 if images.dtype == torch.uint8 else 1
        images = torch.addcmul(-self.mean / self.std, images.float(), 1 / (full * self.std))
        return images.contiguous(memory_format=torch.channels_last)

    def _on_grid(self, tokens: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Returns tokens (b, channels, 1 + h' * w') of images of a size in pixels as (b, channels, 1 + h', w')."""
        features = tokens[..., 1:].unflatten(2, self.backbone.grid(height, width))
        return torch.cat([tokens[..., :1, None].expand(-1, -1, 1, features.shape[-1]), features], dim=2)

    def _check_tokens(self, aggregation: str, backbone: str) -> None:
        """Raises ArgumentError if the backbone has not as many tokens of the whole image as the aggregation takes."""
        wanted, there = (getattr(part, "class_tokens", 1) for part in (self.aggregation, self.backbone))
        if self.needs_class_token and wanted != there:
            raise ArgumentError(
                "aggregation",
                f"{aggregation} needs {wanted} tokens of the whole image from the backbone, but `backbone` {backbone} "
                f"has {there}; DINOv2_B_reg_ImAge has 8, for `aggregation` tokens",
            )

    @property
    def encodes_across_batch(self) -> bool:
        """Whether a descriptor depends on the other images of its batch."""
        return getattr(self.aggregation, "encodes_across_batch", False)

    def train(self, mode: bool = True) -> "GeoLocalizationNet":
        """Switches to training; with `freeze_batch_norm` the normalisation layers stay in evaluation mode."""
        super().train(mode)
        if mode and self.freeze_batch_norm:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


def check_network(
    backbone: str,
    fc_output_dim: int | None,
    aggregation: str,
    aggregation_options: dict[str, int | float],
    image_size: int | Sequence[int] | None,
    cut_after: str | None = None,
    num_trainable_blocks: int | None = None,
    freeze: Sequence[str] | None = None,
) -> int:
    """Builds a network on the meta device and passes an image through it, to check that its parts fit together.

    Args:
        backbone, fc_output_dim, aggregation, aggregation_options: as for `GeoLocalizationNet`.
        image_size: side of the image, or height and width; None for none.
        cut_after, num_trainable_blocks, freeze: as for `GeoLocalizationNet`.

    Returns:
        Dimension of its descriptors.

    Raises:
        ArgumentError: if there is no such network.
    """
    size = image_size if image_size is None or isinstance(image_size, int) else tuple(image_size)
    options, frozen = tuple(aggregation_options.items()), None if freeze is None else tuple(freeze)
    return _checked_dim(backbone, fc_output_dim, aggregation, options, size, cut_after, num_trainable_blocks, frozen)


@cache
def _checked_dim(
    backbone: str,
    fc_output_dim: int | None,
    aggregation: str,
    options: tuple[tuple[str, int | float], ...],
    image_size: int | tuple[int, ...] | None,
    cut_after: str | None,
    num_trainable_blocks: int | None,
    freeze: tuple[str, ...] | None,
) -> int:
    with torch.device("meta"):
        network = GeoLocalizationNet(
            backbone,
            fc_output_dim,
            aggregation,
            dict(options),
            num_trainable_blocks=num_trainable_blocks,
            cut_after=cut_after,
            freeze=freeze,
        ).eval()
        if image_size is not None:
            network.aggregation(features_of_size(network.features, network.backbone, backbone, image_size))
    return network.descriptor_dim


def infer_architecture(state_dict: dict[str, torch.Tensor]) -> dict[str, object]:
    """Infers backbone and dimension from the tensors of a state dict of the reference implementation.

    Raises:
        PlacewiseError: if no backbone fits.
    """
    fc = state_dict.get("aggregation.3.weight")
    if fc is None:
        raise PlacewiseError("not a CosPlace state dict: it has no tensor aggregation.3.weight")
    shapes = {key: tensor.shape for key, tensor in state_dict.items() if key.startswith("backbone.")}
    for name in (name for name in BACKBONE_NAMES if name.startswith(REFERENCE_FAMILIES)):
        with torch.device("meta"):
            candidate = build_backbone(name)
        own = {f"backbone.{key}": tensor.shape for key, tensor in candidate.state_dict().items()}
        if own == shapes:
            return {"backbone": name, "fc_output_dim": fc.shape[0], "aggregation": "gem"}
    raise PlacewiseError(f"no known backbone has these {len(shapes)} tensors and {fc.shape[1]} channels")


@torch.inference_mode()
def initialise_aggregation(network: GeoLocalizationNet, batches: Iterable[torch.Tensor]) -> None:
    """Initialises an aggregation that has `initialise` from the feature maps of images.

    Args:
        network: network with such an aggregation.
        batches: uint8 images of the training set.
    """
    network.eval()
    network.aggregation.initialise(network.features(batch).float() for batch in batches)


@torch.inference_mode()
def fit_pca_layer(network: GeoLocalizationNet, batches: Iterable[torch.Tensor]) -> float:
    """Sets the linear layer to a PCA with half whitening of the pooled features of `batches`.

    With eigenvalues e and eigenvectors V of the features' covariance, the layer is diag(e^-1/4) V^T (x - mean),
    scaled so that the outputs have unit length on average. Directions that vary most keep some of their weight; full
    whitening (e^-1/2) would remove it (https://hal.science/hal-00722622, section 3).

    Args:
        network: network with an aggregation that has `pooling` and `fc`.
        batches: uint8 images, more of them than the descriptor has dimensions.

    Returns:
        Share of the variance kept.

    Raises:
        ArgumentError: if the layer is wider than its input or there are too few images.
    """
    network.eval()
    pooled = []
    for batch in batches:
        maps = network.features(batch)
        with torch.autocast(maps.device.type, enabled=False):
            pooled.append(network.aggregation.pooling(maps.float()).cpu())
    features = torch.cat(pooled).numpy()
    fc = network.aggregation.fc
    dim, channels = fc.weight.shape
    if dim > min(channels, len(features) - 1):
        raise ArgumentError(
            "fc_init",
            f"{len(features)} images with {channels} channels do not have {dim} principal components; lower "
            "`fc_output_dim`",
        )
    pca = principal_components(features, dim)
    weight = replace(pca, variances=pca.variances.clip(min=LEAST_VARIANCE)).whitened(HALF)
    weight /= np.linalg.norm((features - pca.mean) @ weight.T, axis=1).mean()
    fc.weight.copy_(torch.from_numpy(weight))
    fc.bias.copy_(torch.from_numpy(-weight @ pca.mean))
    return pca.kept
