import numpy as np
import pytest
import torch

from commons.sphere import haversine_km, spherical_means
from model.location import gallery as module
from model.location.gallery import Gallery

DEGREES = torch.tensor([[10.0, 179.0], [10.0, -179.0], [50.0, 0.0]])
EMBEDDINGS = torch.tensor([[2.0, 0.0], [3.0, 4.0], [0.0, 0.5]])


def test_nearest_by_hand():
    rows, similarities = Gallery(DEGREES, EMBEDDINGS).nearest(torch.tensor([[10.0, 0.0], [0.0, 0.1]]), 2)
    assert rows.tolist() == [[0, 1], [2, 1]]
    assert similarities.numpy() == pytest.approx(np.array([[1, 0.6], [1, 0.8]]))
    assert Gallery(DEGREES, EMBEDDINGS).answer(torch.tensor([[1.0, 0.1]])).tolist() == [[10.0, 179.0]]


def test_softmax_is_a_mean_on_the_sphere_across_the_antimeridian():
    gallery = Gallery(DEGREES, EMBEDDINGS)
    query = torch.tensor([[2.0, 1.0]])  # cosine 0.8944 with both of the first
    latitude, longitude = gallery.softmax_answer(query, neighbours=2)[0].tolist()
    # The mean of two points at latitude 10, 2 degrees apart: tan latitude = tan 10 / cos 1.
    assert abs(longitude) == pytest.approx(180) and latitude == pytest.approx(10.0015, abs=1e-4)
    cold = gallery.softmax_answer(torch.tensor([[2.0, 0.9]]), neighbours=3, temperature=1e-5)
    assert cold[0].tolist() == pytest.approx([10, 179])
    hot = gallery.softmax_answer(torch.tensor([[2.0, 0.9]]), neighbours=3, temperature=1e9)[0].numpy()
    mean = spherical_means(*DEGREES.numpy().T, np.zeros(3, int), 1)
    assert hot == pytest.approx(np.concatenate(mean))


def test_blocks_do_not_change_neighbours(monkeypatch: pytest.MonkeyPatch):
    draw = torch.Generator().manual_seed(0)
    degrees, embeddings = torch.rand(500, 2, generator=draw) * 80, torch.randn(500, 16, generator=draw)
    queries = torch.randn(40, 16, generator=draw)
    gallery = Gallery(degrees, embeddings)
    whole = gallery.nearest(queries, 5)
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 500 * 7)
    rows, similarities = gallery.nearest(queries, 5)
    assert torch.equal(rows, whole[0]) and torch.allclose(similarities, whole[1], atol=1e-6)
    unit = torch.nn.functional.normalize
    by_hand = (unit(queries, dim=1).double() @ unit(embeddings, dim=1).double().T).argsort(dim=1, descending=True)
    assert torch.equal(rows, by_hand[:, :5])
    assert gallery.nearest(queries, 900)[0].shape == (40, 500)


def test_approximate_search_finds_most_neighbours():
    draw = torch.Generator().manual_seed(0)
    degrees = torch.rand(20_000, 2, generator=draw) * 80
    embeddings = torch.stack([torch.sin(0.1 * k * degrees @ torch.tensor([1.0, 0.7 * k])) for k in range(1, 17)], dim=1)
    queries = embeddings[:500] + 0.01 * torch.randn(500, 16, generator=draw)
    exact = Gallery(degrees, embeddings).nearest(queries, 3)[0]
    rows, similarities = Gallery(degrees, embeddings, approximate=True).nearest(queries, 3)
    assert (rows[:, 0] == exact[:, 0]).float().mean() > 0.9 and rows.shape == similarities.shape == (500, 3)
    assert (similarities[:, 0] >= similarities[:, 1]).all()
    assert np.median(haversine_km(*degrees[rows[:, 0]].numpy().T, *degrees[exact[:, 0]].numpy().T)) == 0
    # More neighbours than the lists hold that are looked into: all are found, by an exact search.
    rows, similarities = Gallery(degrees, embeddings, approximate=True).nearest(queries[:3], 15_000)
    assert (rows >= 0).all() and (similarities.diff(dim=1) <= 0).all()
