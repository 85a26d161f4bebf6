"""EDTformer."""

import torch
from torch import nn
from torch.nn import functional as F

from commons.errors import ArgumentError
from model.aggregation.head import check_dimension

HEADS, DROPOUT = 16, 0.1


class DecoderLayer(nn.Module):
    """A transformer decoder layer without its MLP: queries attend to each other, then to the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(channels, HEADS, DROPOUT, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(channels, HEADS, DROPOUT, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.dropout1, self.dropout2 = nn.Dropout(DROPOUT), nn.Dropout(DROPOUT)

    def forward(self, queries: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Maps queries (b, q, channels) and tokens (b, n, channels) to (b, q, channels)."""
        found, _ = self.self_attn(queries, queries, queries, need_weights=False)
        queries = self.norm1(queries + self.dropout1(found))
        found, _ = self.multihead_attn(queries, image, image, need_weights=False)
        return self.norm2(queries + self.dropout2(found))


class EDTformer(nn.Module):
    """EDTformer: learned queries attend to all tokens in two decoder layers (https://arxiv.org/abs/2412.00784).

        t = W_t tokens; q_i = decoder_i(q_{i-1}, t), with q_0 learned
        descriptor = L2( flatten( W_rows W_channels q_2 ) )

    It has proj_channels * row_dim dimensions. Tensors are named as in the published weights.
    """

    needs_class_token = True

    def __init__(
        self,
        channels: int,
        descriptor_dim: int = 0,
        *,
        queries: int = 64,
        layers: int = 2,
        proj_channels: int = 256,
        row_dim: int = 16,
    ) -> None:
        """Builds the layers.

        Args:
            channels: number of channels of the tokens, a multiple of 16.
            descriptor_dim: proj_channels * row_dim, or 0.
            queries: learned queries.
            layers: decoder layers.
            proj_channels: channels that each query's answer is projected to.
            row_dim: rows that the answers to all queries are projected to.

        Raises:
            ArgumentError: if the channels are no multiple of 16.
        """
        super().__init__()
        if channels % HEADS:
            raise ArgumentError(
                "backbone", f"its {channels} channels are not a multiple of {HEADS}, the number of attention heads"
            )
        self.descriptor_dim = proj_channels * row_dim
        arithmetic = f"proj_channels {proj_channels} x row_dim {row_dim}"
        check_dimension(descriptor_dim, self.descriptor_dim, arithmetic, "row_dim", descriptor_dim / proj_channels)
        self.fc = nn.Linear(channels, channels)
        self.layers = nn.ModuleList(DecoderLayer(channels) for _ in range(layers))
        self.queries = nn.Parameter(nn.init.normal_(torch.empty(1, queries, channels), std=1e-6))
        self.channel_proj = nn.Linear(channels, proj_channels)
        self.row_proj = nn.Linear(queries, row_dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps (b, channels, 1 + n), the class token first, to unit (b, descriptor_dim)."""
        image = self.fc(tokens.transpose(1, 2))
        queries = self.queries.expand(tokens.shape[0], -1, -1)
        for layer in self.layers:
            queries = layer(queries, image)
        rows = self.row_proj(self.channel_proj(queries).transpose(1, 2))
        return F.normalize(rows.flatten(1), dim=1)
