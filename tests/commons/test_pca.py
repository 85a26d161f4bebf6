import numpy as np
import pytest
from sklearn import decomposition

from commons import pca as module
from commons.pca import covariance, principal_components


def unit_vectors(count: int, dim: int) -> np.ndarray:
    """Unit vectors that vary most in their first dimensions, around a mean that is not 0."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(count, dim)) * np.geomspace(1, 0.1, dim) + draw.normal(size=dim)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(params=[7, 1000])
def step(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module, "STEP", request.param)
    return request.param


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_streamed_covariance_is_numpys(step: int, dtype: type):
    x = unit_vectors(50, 12).astype(dtype)
    streamed = covariance(x, x.mean(axis=0, dtype=np.float64))
    assert np.allclose(np.tril(streamed), np.tril(np.cov(x.astype(np.float64), rowvar=False)), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("count", "dim", "small"), [(60, 20, 4096), (20, 60, 4096), (60, 20, 0), (20, 60, 0)])
def test_equals_scikit_learn(step: int, count: int, dim: int, small: int, monkeypatch: pytest.MonkeyPatch):
    """With both solvers; the last one is the Gram matrix."""
    monkeypatch.setattr(module, "SMALL", small)
    x = unit_vectors(count, dim)
    ours, theirs = principal_components(x, 6), decomposition.PCA(6, svd_solver="full").fit(x.astype(np.float64))
    signs = np.sign((ours.components * theirs.components_).sum(axis=1))
    assert np.allclose(ours.components * signs[:, None], theirs.components_, atol=1e-9)
    assert np.allclose(ours.variances, theirs.explained_variance_, rtol=1e-9)
    assert ours.kept == pytest.approx(theirs.explained_variance_ratio_.sum(), abs=1e-9)
    outputs = (x - ours.mean) @ ours.whitened(0.5).T
    assert np.allclose(np.cov(outputs, rowvar=False), np.eye(6), atol=1e-6)
    assert np.allclose(ours.whitened(0), ours.components)


@pytest.mark.parametrize(("count", "dim"), [(300, 40), (30, 40)])
def test_signs_are_those_of_numpys_eigenvectors(count: int, dim: int):
    """Runs that start from the same images start from the same layer, whatever the number of images."""
    x = unit_vectors(count, dim)
    _, vectors = np.linalg.eigh(np.cov(x.astype(np.float64), rowvar=False))
    assert np.allclose(principal_components(x, 8).components, vectors[:, ::-1][:, :8].T, atol=1e-9)


def test_directions_without_variance_have_variance_zero():
    x = unit_vectors(40, 10)
    x[:, 4:] = 0.5
    assert (principal_components(x, 6).variances > 1e-12).tolist() == [True] * 4 + [False] * 2
