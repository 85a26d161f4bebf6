"""The encoder with which images of a batch see each other."""

from torch import nn

from commons.errors import ArgumentError

HEADS, HIDDEN, LAYERS, DROPOUT = 16, 2048, 2, 0.1
NOT_EXPORTABLE = "its descriptors depend on the other images of a batch"


def cross_image_encoder(channels: int) -> nn.TransformerEncoder:
    """Builds the cross-image encoder of CricaVPR and SuperVLAD (https://arxiv.org/abs/2402.19231).

    It takes (images, parts, channels). A part of an image attends to the same part of all images of the batch, so a
    descriptor depends on what else is in the batch.

    Raises:
        ArgumentError: if the channels are no multiple of 16.
    """
    if channels % HEADS:
        raise ArgumentError(
            "backbone",
            f"its {channels} channels are not a multiple of {HEADS}, the number of attention heads between images",
        )
    layer = nn.TransformerEncoderLayer(channels, HEADS, HIDDEN, DROPOUT, activation="gelu")
    return nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
