"""The network that turns images into descriptors."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from commons.errors import PlacewiseError, UsageError
from model.aggregation import AGGREGATIONS
from model.backbones import BACKBONE_NAMES, build_backbone, freeze_first_blocks

# The backbones of the reference implementation and of its forks, whose state dicts are bare tensors.
REFERENCE_FAMILIES = ("VGG", "ResNet", "EfficientNet_B", "EfficientNet_V2")


class GeoLocalizationNet(nn.Module):
    """Backbone, then aggregation: images to L2-normalised descriptors.

    State dicts have the keys of the reference implementation (`backbone.*`, `aggregation.1.p`,
    `aggregation.3.weight`), so published CosPlace weights load as they are.
    """

    def __init__(
        self,
        backbone: str = "ResNet18",
        fc_output_dim: int = 512,
        aggregation: str = "gem",
        train_all_layers: bool = False,
        num_trainable_blocks: int | None = None,
        freeze_batch_norm: bool = False,
    ) -> None:
        """Builds the network with random weights.

        Args:
            backbone: name as in `model.backbones`.
            fc_output_dim: dimension of the descriptor; 0 for the backbone's channels as they are, without linear layer.
            aggregation: name as in `model.aggregation`.
            train_all_layers: train the backbone from its first layer on instead of its last ones only.
            num_trainable_blocks: train the last blocks of the backbone only; None for those that CosPlace trains.
            freeze_batch_norm: keep all running means and variances as they are in training.

        Raises:
            UsageError: if a name is unknown.
        """
        super().__init__()
        self.backbone = build_backbone(backbone)
        self.aggregation = AGGREGATIONS[aggregation](self.backbone.channels, fc_output_dim)
        self.freeze_batch_norm = freeze_batch_norm
        self.descriptor_dim = fc_output_dim or self.backbone.channels
        for name in ("mean", "std"):
            values = torch.tensor(getattr(self.backbone, name)).view(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)
        if not train_all_layers:
            freeze_first_blocks(self.backbone, num_trainable_blocks)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Describes images.

        Args:
            images: (b, 3, h, w), uint8 or float between 0 and 1; normalised here as the backbone wants it.

        Returns:
            float32 (b, fc_output_dim) of unit length.
        """
        features = self.features(images)
        # A descriptor's rounding is not averaged away by anything after it: bf16 ends at the backbone's map.
        with torch.autocast(features.device.type, enabled=False):
            return self.aggregation(features.float())

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the backbone's map of `images`, (b, channels, h', w')."""
        full = 255 if images.dtype == torch.uint8 else 1
        images = torch.addcmul(-self.mean / self.std, images.float(), 1 / (full * self.std))
        return self.backbone(images.contiguous(memory_format=torch.channels_last))

    def train(self, mode: bool = True) -> "GeoLocalizationNet":
        """Switches to training; with `freeze_batch_norm` the normalisation layers stay in evaluation mode."""
        super().train(mode)
        if mode and self.freeze_batch_norm:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


def infer_architecture(state_dict: dict[str, torch.Tensor]) -> dict[str, object]:
    """Finds backbone and dimension of a bare state dict, as the reference implementation publishes, from its tensors.

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
def fit_pca_layer(network: GeoLocalizationNet, batches: Iterable[torch.Tensor]) -> float:
    """Sets the linear layer to a PCA with half whitening of the pooled features of `batches`.

    With eigenvalues e and eigenvectors V of the features' covariance, the layer is diag(e^-1/4) V^T (x - mean),
    scaled so that the outputs have unit length on average: the directions that vary most keep some of their weight,
    which full whitening (e^-1/2) would take (https://hal.science/hal-00722622, section 3).

    Args:
        network: with an aggregation that has `pooling` and `fc`.
        batches: uint8 images, more of them than the descriptor has dimensions.

    Returns:
        Share of the variance kept.

    Raises:
        UsageError: if the layer is wider than its input or there are too few images.
    """
    network.eval()
    pooled = torch.cat([network.aggregation.pooling(network.features(batch).float()).cpu() for batch in batches])
    features = pooled.double().numpy()
    fc = network.aggregation.fc
    dim, channels = fc.weight.shape
    if dim > min(channels, len(features) - 1):
        raise UsageError(
            f"--fc_init pca: {len(features)} images with {channels} channels give no {dim} components; lower "
            f"--fc_output_dim"
        )
    mean = features.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(features, rowvar=False))
    values, vectors = values[::-1].clip(min=1e-12), vectors[:, ::-1]
    weight = (vectors[:, :dim] * values[:dim] ** -0.25).T
    weight /= np.linalg.norm((features - mean) @ weight.T, axis=1).mean()
    fc.weight.copy_(torch.from_numpy(weight))
    fc.bias.copy_(torch.from_numpy(-weight @ mean))
    return float(values[:dim].sum() / values.sum())
