from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from tests.model.published.layouts import (
    DEPTH,
    WIDTH,
    assert_describes,
    assert_fits,
    dinov2_shapes,
    dinov2_tokens,
    load,
    random_state,
    salad_shapes,
    salad_vectors,
)


def layout(backbone: str, width: int = 768, depth: int = 12, outputs: int = 8448) -> dict[str, tuple[int, ...]]:
    shapes = dinov2_shapes(backbone, width, depth, mask_token=backbone.endswith("model."))
    shapes |= salad_shapes("aggregator.agg.", width, cluster_dim=256)
    linear = {"aggregator.linear.weight": (outputs, 256 + 64 * 256), "aggregator.linear.bias": (outputs,)}
    return shapes | linear


@pytest.mark.parametrize("backbone", ["backbone.", "backbone.model."])
def test_layouts_of_both_releases(backbone: str):
    assert_fits("megaloc-dinov2-8448", layout(backbone))


@pytest.mark.usefixtures("small_dinov2")
def test_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With sides that are no multiples of 14: 136 becomes 140, 115 becomes 112."""
    state = random_state(layout("backbone.", WIDTH, DEPTH, outputs=32))
    images = torch.rand(2, 3, 136, 115)
    resized = F.interpolate(images, size=(140, 112), mode="bilinear", antialias=True)
    vectors = salad_vectors(state, "aggregator.agg.", dinov2_tokens(state, "backbone.", resized))
    projected = vectors @ state["aggregator.linear.weight"].T + state["aggregator.linear.bias"]
    network = load("megaloc-dinov2-8448", state, tmp_path, monkeypatch, fc_output_dim=32)
    assert_describes(network, images, projected / projected.norm(dim=1, keepdim=True))
