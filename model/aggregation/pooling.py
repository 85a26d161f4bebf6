"""The mean and the maximum over positions."""

from torch import nn

from model.aggregation.head import LinearHead


class AvgAggregation(LinearHead):
    """Sum-pooled convolutional features, SPoC (https://arxiv.org/abs/1510.07493), without its centre prior.

    descriptor = L2( W (mean over positions of x) + b )
    """

    def __init__(self, channels: int, descriptor_dim: int = 512) -> None:
        """Builds the head.

        Args:
            channels: number of channels of the feature map.
            descriptor_dim: outputs of the linear layer; 0 for none, the descriptor then has `channels` dimensions.
        """
        super().__init__([nn.AdaptiveAvgPool2d(1), nn.Flatten()], channels, descriptor_dim)


class MaxAggregation(LinearHead):
    """Maximum activations of convolutions, MAC (https://arxiv.org/abs/1511.05879, section 3.1).

    descriptor = L2( W (maximum over positions of x) + b )
    """

    def __init__(self, channels: int, descriptor_dim: int = 512) -> None:
        """Builds the head.

        Args:
            channels: number of channels of the feature map.
            descriptor_dim: outputs of the linear layer; 0 for none, the descriptor then has `channels` dimensions.
        """
        super().__init__([nn.AdaptiveMaxPool2d(1), nn.Flatten()], channels, descriptor_dim)
