"""Positions from what a network predicts over cells, against numbers worked by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from commons.sphere import from_local_km, to_degrees, unit_vectors
from losses.geolocation.geometry import CellGeometry
from losses.geolocation.offset import OffsetRegression
from model.cell_network import CellHeads
from tasks.cell_answers import CellAnswers, log_of_sums
from tasks.cell_gallery import Gallery, nearest_in_cells

LATITUDE, LONGITUDE = [0.0, 0.0, 10.0, 80.0], [0.0, 10.0, 0.0, 180.0]
ANCESTORS = [[0, 0], [0, 1], [0, 2], [1, 3]]  # cells 0 to 2 lie in one coarser cell, cell 3 in another


class Fixed(nn.Module):
    """Gives one row of outputs whatever it sees."""

    def __init__(self, outputs: list[float]) -> None:
        super().__init__()
        self.row = torch.tensor([outputs])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.row.expand(len(images), -1)


def geometry() -> CellGeometry:
    return CellGeometry(LATITUDE, LONGITUDE, [[5.0, 5.0]] * 4, ANCESTORS)


def answer(outputs: list[float], heads: CellHeads, offset: OffsetRegression | None = None, mean_of: int = 5):
    answers = CellAnswers(Fixed(outputs), heads, geometry(), offset, mean_of)
    return answers.read(answers(torch.zeros(2, 3, 4, 4)))


def degrees(vectors: torch.Tensor) -> np.ndarray:
    return np.array(to_degrees(vectors.double().numpy()))[:, 0]


LOGITS = np.log([0.2, 0.25, 0.15, 0.4]).tolist()


def test_best_and_product_differ_where_the_sum_of_a_coarser_cell_is_larger():
    """Cell 3 is the most probable one, and with its coarser cell 0.4 * 0.4 = 0.16 is more than 0.25 * 0.6 = 0.15. In
    the second case 0.3 * 0.3 = 0.09 is less than 0.28 * 0.7 = 0.196, and cell 1 is the answer."""
    heads = CellHeads((2, 4))
    assert degrees(answer(LOGITS, heads).points["product"]).tolist() == pytest.approx([80, 180])
    found = answer(np.log([0.22, 0.28, 0.2, 0.3]).tolist(), heads)
    assert degrees(found.points["best"]).tolist() == pytest.approx([80, 180])
    assert degrees(found.points["product"]).tolist() == pytest.approx([0, 10], abs=1e-5)
    assert found.point_cells["best"].tolist() == [3, 3] and found.point_cells["product"].tolist() == [1, 1]


def test_heads_of_coarser_cells_replace_their_sums():
    found = answer([*LOGITS, *np.log([0.9, 0.1])], CellHeads((2, 4), coarse=True))
    assert found.point_cells["product"].tolist() == [1, 1]


def test_the_mean_is_weighted_and_on_the_sphere():
    found = answer(LOGITS, CellHeads((4,)), mean_of=2)
    wanted = 0.25 * unit_vectors(0.0, 10.0) + 0.4 * unit_vectors(80.0, 180.0)
    assert found.points["mean"][0].numpy() == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-6)
    assert "product" not in found.points  # there is one resolution


def test_offsets_move_the_point_of_the_best_cell():
    offset = OffsetRegression(geometry(), span=1.0)
    raw = [0.0] * 6 + [np.arctanh(0.4), np.arctanh(-0.8)]
    found = answer([*LOGITS, *raw], CellHeads((4,), offsets=True), offset)
    wanted = np.ravel(from_local_km(np.array([2.0]), np.array([-4.0]), np.array([80.0]), np.array([180.0])))
    assert unit_vectors(*wanted) == pytest.approx(found.points["offset"][0].numpy(), abs=1e-7)


def test_the_most_probable_cells_are_kept():
    found = answer(LOGITS, CellHeads((4,)))
    assert found.cells.tolist() == [[3, 1, 0, 2]] * 2
    assert found.probabilities[0].tolist() == pytest.approx([0.4, 0.25, 0.2, 0.15])
    assert found.descriptors.shape == (2, 0)


def test_logarithms_of_sums_are_finite_where_a_sum_is_zero():
    found = log_of_sums(torch.tensor([[0.0, -torch.inf]]), torch.tensor([0, 1]), 2)
    assert found[0, 0] == 0 and found.isfinite().all()


def test_nearest_photos_are_looked_for_in_the_given_cells_as_a_loop_does():
    draw = torch.Generator().manual_seed(0)
    queries, gallery = (nn.functional.normalize(torch.randn(n, 6, generator=draw), dim=1) for n in (9, 40))
    own, cells = torch.randint(-1, 7, (40,), generator=draw), torch.randint(0, 9, (9, 2), generator=draw)
    wanted = []
    for query, allowed in zip(queries, cells.tolist(), strict=True):
        rows = [row for row in range(40) if own[row].item() in allowed]
        wanted.append(max(rows, key=lambda row: float(gallery[row] @ query)) if rows else -1)
    assert nearest_in_cells(queries, cells, gallery, own, chunk=4).tolist() == wanted


def test_a_gallery_without_photos_in_the_best_cells_leaves_the_best_point():
    answers = CellAnswers(Fixed(LOGITS), CellHeads((4,)), geometry())
    answered = answers.read(answers(torch.zeros(1, 3, 4, 4)))._replace(descriptors=torch.tensor([[1.0, 0.0]]))
    points = torch.from_numpy(unit_vectors(np.array([5.0]), np.array([6.0])).astype(np.float32))
    for cell, wanted in ((1, [5, 6]), (2, [80, 180])):
        found = Gallery(torch.tensor([[0.0, 1.0]]), points, torch.tensor([cell])).answer(answered, 2, "cpu")
        assert degrees(found.points["retrieval"]).tolist() == pytest.approx(wanted, abs=1e-4)
