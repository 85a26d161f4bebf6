"""Bag of queries."""

import torch
from torch import nn
from torch.nn import functional as F

from commons.errors import ArgumentError
from model.aggregation.head import check_dimension

HEAD_CHANNELS = 64


class QueryBlock(nn.Module):
    """A transformer layer over positions, and learned queries that attend to its output."""

    def __init__(self, channels: int, queries: int) -> None:
        super().__init__()
        heads = channels // HEAD_CHANNELS
        self.encoder = nn.TransformerEncoderLayer(channels, heads, 4 * channels, dropout=0.0, batch_first=True)
        self.queries = nn.Parameter(torch.randn(1, queries, channels))
        self.self_attn = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.norm_q = nn.LayerNorm(channels)
        self.cross_attn = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.norm_out = nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps (b, n, channels) to the same shape and to (b, queries, channels)."""
        x = self.encoder(x)
        # Self-attention of the queries comes before the image, so it is the same for the whole batch.
        queries = self.norm_q(self.queries + self.self_attn(*[self.queries] * 3, need_weights=False)[0])
        found, _ = self.cross_attn(queries.expand(x.shape[0], -1, -1), x, x, need_weights=False)
        return x, self.norm_out(found)


class BoQ(nn.Module):
    """BoQ: learned queries attend to the features after each of a few transformer layers (https://arxiv.org/abs/2405.07364).

        x_0 = layernorm(conv3x3(map)); x_i = transformer_i(x_{i-1}); o_i = attention(queries_i, x_i, x_i)
        descriptor = L2( flatten( W [o_1 ... o_layers] ) ), with W mapping layers * queries rows to row_dim

    It has proj_channels * row_dim dimensions. Tensors are named as in the published weights (with a ResNet50:
    proj_channels 512, with DINOv2: 384).
    """

    def __init__(
        self,
        channels: int,
        descriptor_dim: int = 0,
        *,
        proj_channels: int = 512,
        queries: int = 64,
        layers: int = 2,
        row_dim: int = 32,
    ) -> None:
        """Builds the layers.

        Args:
            channels: number of channels of the feature map.
            descriptor_dim: proj_channels * row_dim, or 0.
            proj_channels: channels inside, a multiple of 64 (attention heads have 64 each).
            queries: learned queries of each layer.
            layers: transformer layers.
            row_dim: rows that the answers to all queries are projected to.

        Raises:
            ArgumentError: if proj_channels is no multiple of 64.
        """
        super().__init__()
        self.descriptor_dim = proj_channels * row_dim
        arithmetic = f"proj_channels {proj_channels} x row_dim {row_dim}"
        check_dimension(descriptor_dim, self.descriptor_dim, arithmetic, "row_dim", descriptor_dim / proj_channels)
        if proj_channels % HEAD_CHANNELS:
            raise ArgumentError(
                "aggregation_options", f"proj_channels={proj_channels} is not a multiple of {HEAD_CHANNELS}"
            )
        self.proj_c = nn.Conv2d(channels, proj_channels, kernel_size=3, padding=1)
        self.norm_input = nn.LayerNorm(proj_channels)
        self.boqs = nn.ModuleList(QueryBlock(proj_channels, queries) for _ in range(layers))
        self.fc = nn.Linear(layers * queries, row_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (b, channels, h, w) to unit (b, descriptor_dim)."""
        x = self.norm_input(self.proj_c(x).flatten(2).transpose(1, 2))
        answers = []
        for block in self.boqs:
            x, answer = block(x)
            answers.append(answer)
        rows = self.fc(torch.cat(answers, dim=1).transpose(1, 2))
        return F.normalize(rows.flatten(1), dim=1)
