"""Positions from location embeddings, against plain loops."""

import numpy as np
import pytest
import torch
from torch import nn

from commons.sphere import haversine_km, to_degrees, unit_vectors
from losses.geolocation.geometry import CellGeometry
from tasks.embedding_answers import NEIGHBOUR_SCALE, EmbeddingAnswers, Positions
from tasks.location_embedding import gallery_of, positions_of, to_text

LATITUDE, LONGITUDE = np.array([10.0, 10.5, 50.0, 50.5]), np.array([0.0, 0.5, 179.9, -179.9])
CELLS = np.array([0, 0, 1, 1])


class Fixed(nn.Module):
    """Gives the same embeddings whatever it sees."""

    def __init__(self, embeddings: torch.Tensor) -> None:
        super().__init__()
        self.rows = embeddings
        self.register_buffer("scale", torch.tensor(10.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.rows


def answers_for(embeddings: torch.Tensor, decoder: nn.Module | None = None):
    gallery = nn.functional.normalize(torch.tensor([[1.0, 0, 0], [1, 0.2, 0], [0, 0, 1], [0, 0.2, 1]]), dim=1)
    vectors = torch.from_numpy(unit_vectors(LATITUDE, LONGITUDE).astype(np.float32))
    geometry = CellGeometry([10.25, 50.25], [0.25, 180.0], [[40.0, 40.0]] * 2, [[0], [1]])
    positions = Positions(vectors, gallery, torch.from_numpy(CELLS))
    made = EmbeddingAnswers(Fixed(embeddings), positions, geometry, decoder)
    return made.read(made(torch.zeros(len(embeddings), 3, 2, 2))), gallery


def degrees(vectors: torch.Tensor) -> np.ndarray:
    return np.stack(to_degrees(vectors.double().numpy()), axis=1)


def test_gallery_and_softmax_are_those_of_a_loop():
    queries = torch.tensor([[2.0, 0.3, 0.1], [0.1, 0, 3.0]])
    found, gallery = answers_for(queries)
    for row, query in enumerate(queries):
        cosines = gallery @ (query / query.norm())
        best = int(cosines.argmax())
        assert degrees(found.points["gallery"])[row] == pytest.approx([LATITUDE[best], LONGITUDE[best]], abs=1e-4)
        weights = torch.softmax(NEIGHBOUR_SCALE * cosines, dim=0).numpy()
        mean = (weights[:, None] * unit_vectors(LATITUDE, LONGITUDE)).sum(axis=0)
        assert unit_vectors(*degrees(found.points["softmax"])[row]) == pytest.approx(
            mean / np.linalg.norm(mean), abs=1e-5
        )
        shares = torch.softmax(10 * cosines, dim=0).numpy()
        by_cell = [shares[cell == CELLS].sum() for cell in found.cells[row].tolist()]
        assert found.probabilities[row].tolist() == pytest.approx(by_cell, abs=1e-6)
    assert found.point_cells["gallery"].tolist() == [0, 1]


class Decoder(nn.Module):
    """Decodes everything to one position."""

    def __init__(self, latitude: float, longitude: float) -> None:
        super().__init__()
        self.point = torch.from_numpy(unit_vectors(np.float64(latitude), np.float64(longitude))).float()

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        return self.point.expand(len(embeddings), 3)


@pytest.mark.parametrize(("decoded", "wanted"), [((10.3, 0.3), (10.3, 0.3)), ((50.2, 180.0), (10.0, 0.0))])
def test_a_decoder_counts_within_the_reach_of_the_most_probable_cell(decoded: tuple, wanted: tuple):
    """Else the most similar position of this cell is the answer, here the first one."""
    found, _ = answers_for(torch.tensor([[1.0, 0.0, 0.0]]), Decoder(*decoded))
    assert haversine_km(*degrees(found.points["decoder"])[0], *decoded) < 0.01
    assert haversine_km(*degrees(found.points["region"])[0], *wanted) < 0.01


def test_a_gallery_has_each_kilometre_once_and_survives_as_text():
    class Places:
        degrees = (np.array([1.001, 1.002, np.nan, 2.0]), np.array([5.0, 5.0, 5.0, 6.0]))

    positions = gallery_of(Places())
    assert positions.tolist() == [[1.0, 5.0], [2.0, 6.0]]
    assert np.array_equal(positions_of({"positions": to_text(positions)}), positions)
