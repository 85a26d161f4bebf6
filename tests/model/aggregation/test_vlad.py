import pytest
import torch
from torch.nn import functional as F

from commons.errors import ArgumentError
from model.aggregation.supervlad import SuperVLAD
from model.aggregation.vlad import VLAD

# Three directions, and unit features near them; the second has no neighbour but itself.
FEATURES = F.normalize(
    torch.tensor([[1.0, 0.1, 0.0], [1.0, -0.1, 0.0], [0.0, 1.0, 0.0], [0.0, 0.1, 1.0], [0.1, 0.0, 1.0]]), dim=1
)


def as_map(features: torch.Tensor) -> torch.Tensor:
    """One image, (1, channels, 1, n), whose features are not yet of unit length."""
    return 3 * features.T[None, :, None]


def test_centres_are_the_means_of_their_features():
    vlad = VLAD(3, 0, clusters=3)
    assert not vlad.given and vlad.not_exportable
    vlad.initialise([as_map(FEATURES)])
    expected = torch.stack([FEATURES[:2].mean(0), FEATURES[2], FEATURES[3:].mean(0)])
    order = (F.normalize(vlad.centroids, dim=1) @ expected.T).argmax(0)
    assert torch.allclose(vlad.centroids[order], expected, atol=1e-6)
    assert vlad.given and not vlad.not_exportable


def test_residuals_by_hand():
    """Two features go to (2, 0), one to (0, 1): its residual, and the third centre's, are zero."""
    vlad = VLAD(2, 0, clusters=3)
    vlad.set_vocabulary(torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
    features = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    sums = torch.tensor([1.0 + 0.8 - 4.0, 0.6])
    found = vlad(as_map(features))
    assert torch.allclose(found, torch.cat([sums / sums.norm(), torch.zeros(4)])[None], atol=1e-6)


def test_too_few_features():
    with pytest.raises(ArgumentError, match="clusters=6 is more than the number of local features .* \\(5\\)"):
        VLAD(3, 0, clusters=6).initialise([as_map(FEATURES)])


def test_supervlad_starts_from_clusters_and_ghost_clusters():
    layer = SuperVLAD(3, 0, clusters=2, ghost_clusters=1)
    layer.initialise([as_map(FEATURES)])
    weights = layer.conv.weight.flatten(1)
    sharp = weights.norm(dim=1)
    assert torch.allclose(sharp, sharp[:1].expand(3))
    nearest = (FEATURES @ F.normalize(weights, dim=1).T).argmax(dim=1).tolist()
    assert nearest[0] == nearest[1] and nearest[3] == nearest[4] and len(set(nearest)) == 3
