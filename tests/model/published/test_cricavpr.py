from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from tests.model.published.layouts import (
    DEPTH,
    WIDTH,
    PlainDINOv2,
    Shapes,
    State,
    assert_describes,
    assert_fits,
    cross_image,
    cross_image_shapes,
    dinov2_shapes,
    load,
    random_state,
    released,
    with_biases,
)


def layout(width: int = 768, depth: int = 12) -> Shapes:
    half = width // 2
    convolutions = {
        "branch1": (half // 2, half, 1),
        "branch2.0": (half // 16, half, 1),
        "branch2.1": (half // 4, half // 16, 3),
        "branch3.0": (half // 16, half, 1),
        "branch3.1": (half // 4, half // 16, 5),
    }
    shapes = dinov2_shapes("backbone.", width, depth) | cross_image_shapes(width) | {"aggregation.1.p": (1,)}
    for block in range(depth):
        adapter = f"backbone.blocks.{block}.adapter"
        weights = {f"{adapter}.D_fc1.weight": (half, width), f"{adapter}.D_fc2.weight": (width, half)}
        for name, (outputs, inputs, side) in convolutions.items():
            weights |= {f"{adapter}.{name}.conv.weight": (outputs, inputs, side, side)}
            weights |= {f"{adapter}.{name}.bn.weight": (outputs,)}
            statistics = f"{adapter}.{name}.bn"
            shapes |= {f"{statistics}.running_mean": (outputs,), f"{statistics}.running_var": (outputs,)}
            shapes |= {f"{statistics}.num_batches_tracked": ()}
        shapes |= with_biases(weights)
    return shapes


def adapted(state: State, name: str, tokens: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Convolutions of one, three and five patches; the class token is doubled instead."""

    def convolved(part: str, x: torch.Tensor) -> torch.Tensor:
        weight, bias = (state[f"{name}.{part}.conv.{kind}"] for kind in ("weight", "bias"))
        x = F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        mean, var, scale, shift = (
            state[f"{name}.{part}.bn.{kind}"][:, None, None]
            for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return ((x - mean) / (var + 1e-3).sqrt() * scale + shift).clamp(min=0)

    x = (tokens @ state[f"{name}.D_fc1.weight"].T + state[f"{name}.D_fc1.bias"]).clamp(min=0)
    patches = x[:, 1:].mT.unflatten(2, grid)
    branches = [convolved("branch1", patches)]
    branches += [convolved(f"branch{n}.1", convolved(f"branch{n}.0", patches)) for n in (2, 3)]
    mixed = x + torch.cat([x[:, :1], torch.cat(branches, dim=1).flatten(2).mT], dim=1)
    return mixed @ state[f"{name}.D_fc2.weight"].T + state[f"{name}.D_fc2.bias"]


def vectors(state: State, images: torch.Tensor, grid: tuple[int, int], cuts: list[list[list[int]]]) -> torch.Tensor:
    """The class token and GeM of the regions between `cuts` of rows and columns, over the images of the batch."""
    plain = PlainDINOv2(state, "backbone.")
    x = plain.embedded(images)
    for block in range(plain.depth):
        x = plain.attended(block, x)
        normed = plain.layer_norm(f"blocks.{block}.norm2", x)
        more = 0.2 * adapted(state, f"backbone.blocks.{block}.adapter", normed, grid)
        x = x + plain.own[f"blocks.{block}.ls2.gamma"] * (plain.mlp(block, normed) + more)
    x = plain.layer_norm("norm", x)
    features = x[:, 1:].unflatten(1, grid)
    features = features / features.norm(dim=-1, keepdim=True)
    p, parts = state["aggregation.1.p"], [x[:, 0]]
    for rows, columns in cuts:
        for top, bottom in zip(rows, rows[1:], strict=False):
            for left, right in zip(columns, columns[1:], strict=False):
                region = features[:, top:bottom, left:right].clamp(min=1e-6) ** p
                parts.append(region.mean(dim=(1, 2)) ** (1 / p))
    encoded = cross_image(state, torch.stack(parts, dim=1)).flatten(1)
    return encoded / encoded.norm(dim=1, keepdim=True)


def test_layout():
    assert_fits("cricavpr-dinov2-10752", layout())


@pytest.mark.usefixtures("small_dinov2")
def test_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """At the authors' 224x224, and at a size whose map of 8x12 is divided in the same proportions."""
    state = random_state(layout(WIDTH, DEPTH))
    network = load("cricavpr-dinov2-10752", released(state), tmp_path, monkeypatch)
    assert network.encodes_across_batch
    images = torch.rand(3, 3, 224, 224)
    halves, thirds = [0, 8, 16], [0, 5, 11, 16]
    assert_describes(network, images, vectors(state, images, (16, 16), [[halves, halves], [thirds, thirds]]))
    images = torch.rand(2, 3, 112, 168)
    cuts = [[[0, 4, 8], [0, 6, 12]], [[0, 2, 6, 8], [0, 4, 8, 12]]]
    assert_describes(network, images, vectors(state, images, (8, 12), cuts))
