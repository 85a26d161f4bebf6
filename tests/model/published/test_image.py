from pathlib import Path

import pytest
import torch

from tests.model.published.layouts import (
    DEPTH,
    WIDTH,
    PlainDINOv2,
    Shapes,
    assert_describes,
    assert_fits,
    dinov2_shapes,
    load,
    random_state,
    released,
)


def layout(width: int = 768, depth: int = 12) -> Shapes:
    tokens = {"backbone.register_tokens": (1, 4, width), "learnable_aggregation_tokens": (1, 8, width)}
    return dinov2_shapes("backbone.", width, depth) | tokens


@pytest.mark.parametrize("name", ["image-merged-6144", "image-gsv-6144"])
def test_layout(name: str):
    assert_fits(name, layout())


@pytest.mark.usefixtures("small_dinov2")
def test_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Eight tokens join the others before the last third of the blocks, of two blocks before the second one."""
    state = random_state(layout(WIDTH, DEPTH))
    images = torch.rand(2, 3, 112, 84)
    plain = PlainDINOv2(state, "backbone.")
    x = plain.block(0, plain.embedded(images))
    x = torch.cat([state["learnable_aggregation_tokens"].expand(2, -1, -1), x], dim=1)
    vectors = plain.layer_norm("norm", plain.block(1, x))[:, :8].flatten(1)
    network = load("image-merged-6144", released(state), tmp_path, monkeypatch)
    assert_describes(network, images, vectors / vectors.norm(dim=1, keepdim=True))
