from pathlib import Path

import pytest
import torch

from model.published import PUBLISHED
from tests.model.published.layouts import (
    DEPTH,
    WIDTH,
    Shapes,
    State,
    assert_describes,
    assert_fits,
    cross_image,
    cross_image_shapes,
    dinov2_shapes,
    dinov2_tokens,
    load,
    random_state,
    released,
)


def layout(clusters: int, width: int = 768, depth: int = 12, encoder: bool = False) -> Shapes:
    shapes = dinov2_shapes("backbone.", width, depth) | {"aggregation.conv.weight": (clusters, width, 1, 1)}
    return shapes | (cross_image_shapes(width) if encoder else {})


def vectors(state: State, images: torch.Tensor, ghosts: int) -> torch.Tensor:
    """Sums of unit features by soft assignment, without the last clusters."""
    descriptors = []
    for image in dinov2_tokens(state, "backbone.", images)[:, 1:]:
        x = image / image.norm(dim=1, keepdim=True)
        weights = (x @ state["aggregation.conv.weight"].flatten(1).T).softmax(dim=1)[:, :-ghosts]
        sums = torch.stack([(x * own[:, None]).sum(dim=0) for own in weights.T])
        sums = sums / sums.norm(dim=1, keepdim=True)
        descriptors.append(sums / sums.norm())
    parts = torch.stack(descriptors)
    if "encoder.layers.0.norm1.weight" in state:
        parts = cross_image(state, parts)
    return parts.flatten(1) / parts.flatten(1).norm(dim=1, keepdim=True)


def test_layouts():
    assert_fits("supervlad-dinov2-3072", layout(5))
    assert_fits("supervlad-1cluster-768", layout(3))
    assert_fits("supervlad-crossim-dinov2-3072", layout(5, encoder=True))
    assert "1yomnWGTJko6nf3F2Ju6RWsLhP2EG82tL" in PUBLISHED["supervlad-crossim-dinov2-3072"].address


@pytest.mark.usefixtures("small_dinov2")
@pytest.mark.parametrize(
    ("name", "clusters", "ghosts"),
    [("supervlad-dinov2-3072", 5, 1), ("supervlad-1cluster-768", 3, 2), ("supervlad-crossim-dinov2-3072", 5, 1)],
)
def test_descriptors(name: str, clusters: int, ghosts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    across = "crossim" in name
    state = random_state(layout(clusters, WIDTH, DEPTH, across))
    images = torch.rand(3, 3, 112, 84)
    network = load(name, released(state), tmp_path, monkeypatch)
    assert_describes(network, images, vectors(state, images, ghosts))
    assert network.encodes_across_batch == across
    with torch.inference_mode():
        alone, together = network(images[:1]), network(images)[:1]
    assert torch.allclose(alone, together, atol=1e-5) != across
