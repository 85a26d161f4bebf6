import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import decomposition

from commons.errors import ArgumentError, PlacewiseError
from retrieval import WHITENING
from retrieval import pca as module
from retrieval.pca import check_pca, fit_pca, load_pca, sampled
from retrieval.table import DescriptorTable


def descriptors(count: int, dim: int) -> np.ndarray:
    """Unit vectors that vary most in their first dimensions, around a mean that is not 0."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(count, dim)) * np.geomspace(1, 0.1, dim) + draw.normal(size=dim)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def filled(x: np.ndarray, file: object = None) -> DescriptorTable:
    table = DescriptorTable(len(x) + 2, x.shape[1], file)
    table.add([(np.arange(len(x))[::-1], x)])
    return table


def test_projection_equals_scikit_learn():
    x = descriptors(60, 20)
    ours, theirs = fit_pca(filled(x), 6), decomposition.PCA(6, svd_solver="full").fit(x.astype(np.float64))
    signs = np.sign((ours.components * theirs.components_).sum(axis=1))
    for whiten, power in WHITENING.items():
        expected = theirs.transform(x) * theirs.explained_variance_**-power * signs
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        reduced = ours.project(x, whiten)
        assert reduced.dtype == np.float32
        assert np.allclose(reduced, expected, atol=1e-4)


def test_whitening_by_hand():
    """Points at (+-3, 0) and (0, +-1): variances 6 and 2/3, already along the axes; (3, 1) is projected."""
    pca = fit_pca(filled(np.float32([[3, 0], [-3, 0], [0, 1], [0, -1]])), 2)
    assert np.allclose(pca.variances, [6, 2 / 3])
    point = np.float32([[3, 1]])
    full, half, none = (np.abs(pca.project(point, whiten))[0] for whiten in ("full", "half", "none"))
    assert np.allclose(full, np.array([1, 1]) / np.sqrt(2), atol=1e-6)
    assert np.allclose(half, np.array([np.sqrt(3), 1]) / 2, atol=1e-6)
    assert np.allclose(none, np.array([3, 1]) / np.sqrt(10), atol=1e-6)


@pytest.mark.parametrize("whiten", WHITENING)
def test_saved_and_reloaded_it_gives_the_same_bits(tmp_path: Path, whiten: str):
    x = descriptors(40, 10)
    pca = fit_pca(filled(x), 5)
    pca.save(tmp_path / "pca.pth")
    again = load_pca(tmp_path / "pca.pth")
    assert np.array_equal(again.project(x, whiten), pca.project(x, whiten))
    assert again.kept == pca.kept
    shorter = again.first(3)
    assert np.allclose(shorter.project(x), fit_pca(filled(x), 3).project(x), atol=1e-5)
    assert shorter.kept == pytest.approx(fit_pca(filled(x), 3).kept)


def test_tables_in_a_file_are_fitted_and_projected_block_by_block(monkeypatch: pytest.MonkeyPatch):
    x = descriptors(40, 10)
    pca = fit_pca(filled(x), 4)
    monkeypatch.setattr(module, "STEP", 9)
    with tempfile.TemporaryFile() as file:
        table = filled(x, file)
        close = fit_pca(table, 4)
        rows, reduced = map(np.concatenate, zip(*pca.project_table(table, "half"), strict=True))
    assert np.allclose(close.variances, pca.variances, rtol=1e-2)
    assert np.array_equal(rows, np.arange(40)[::-1])
    assert np.allclose(reduced, pca.project(x, "half"), atol=5e-3)


def test_many_images_are_thinned_out_evenly(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_IMAGES", 30)
    x = descriptors(75, 10)
    assert np.array_equal(fit_pca(filled(x), 4).mean, fit_pca(filled(x[::3]), 4).mean)
    assert [len(sampled(images)) for images in (30, 31, 60, 61)] == [30, 16, 30, 21]
    with pytest.raises(ArgumentError, match="a PCA of 25 images"):
        check_pca(25, 26, 75)


def test_what_cannot_be_fitted_is_refused(tmp_path: Path):
    for dim, words in ((13, "the descriptors have 12"), (9, "a PCA of 9 images")):
        with pytest.raises(ArgumentError, match=f"`pca_dim`: {dim} is too many: {words}"):
            check_pca(dim, 12, 9)
    check_pca(8, 12, 9)
    flat = descriptors(40, 10)
    flat[:, 4:] = 0.5
    with pytest.raises(ArgumentError, match="`pca_dim`: 6 is too many: the descriptors have a rank of 4"):
        fit_pca(filled(flat), 6)
    pca = {"mean": torch.zeros(3), "components": torch.zeros(2, 3), "variances": torch.ones(2), "kept": 0.5}
    for wrong in ({"components": torch.zeros(2, 4)}, {"variances": torch.ones(3)}, {"mean": "x"}, {"kept": None}):
        torch.save(pca | wrong, tmp_path / "other.pth")
        with pytest.raises(PlacewiseError, match="contains no PCA"):
            load_pca(tmp_path / "other.pth")
    torch.save({"mean": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(PlacewiseError, match="contains no PCA"):
        load_pca(tmp_path / "other.pth")
