from pathlib import Path

import pytest
import torch

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


def test_layout():
    shapes = dinov2_shapes("backbone.model.") | salad_shapes("aggregator.")
    assert_fits("salad-dinov2-8448", shapes)
    assert_fits("clique-mining-dinov2-8448", shapes)
    assert_fits("salad-indoor-dinov2-8448", {f"model.{name}": shape for name, shape in shapes.items()})


@pytest.mark.usefixtures("small_dinov2")
def test_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    state = random_state(dinov2_shapes("backbone.model.", WIDTH, DEPTH) | salad_shapes("aggregator.", WIDTH))
    images = torch.rand(2, 3, 140, 112)
    expected = salad_vectors(state, "aggregator.", dinov2_tokens(state, "backbone.model.", images))
    network = load("salad-dinov2-8448", state, tmp_path, monkeypatch)
    assert_describes(network, images, expected)
