"""Our code beside that of libraries: python -m benchmarks.libraries

- Principal components of random features whose variances fall as 1 / i: `commons.pca` beside scikit-learn and faiss.
  The difference is the largest one of a component's value from scikit-learn's SVD in float64, with the sign made equal;
  "signs" is how many components have the sign that numpy.linalg.eigh gives them.
- k-means of unit features around as many random directions as there are clusters: faiss, which NetVLAD's start uses,
  beside scikit-learn. The spread is the mean squared distance to the nearest centre.
"""

from collections.abc import Callable

import faiss
import numpy as np
from scipy.linalg import eigh
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from benchmarks.common import alternate, machine, print_table
from commons.pca import principal_components

# Vectors, dimensions, components: the start of a linear layer, test time, and more dimensions than vectors.
SIZES = ((4096, 1280, 256), (16384, 512, 128), (640, 1280, 256))
# Local features, channels, clusters of NetVLAD's start.
CLUSTERS = (51_200, 512, 64)
RUNS = 3


def features(count: int, dim: int) -> np.ndarray:
    """Returns float32 (count, dim) with a random basis of falling variances."""
    draw = np.random.default_rng(0)
    basis, _ = np.linalg.qr(draw.standard_normal((dim, dim)))
    return ((draw.standard_normal((count, dim)) / np.sqrt(np.arange(1, dim + 1))) @ basis.T).astype(np.float32)


def by_numpy(x: np.ndarray, dim: int) -> np.ndarray:
    """Returns the components as the start of the layer was computed before `commons.pca`."""
    _, vectors = np.linalg.eigh(np.cov(x.astype(np.float64), rowvar=False))
    return vectors[:, ::-1][:, :dim].T


def by_scipy(x: np.ndarray, dim: int) -> np.ndarray:
    """Returns the components as those of test time were computed before: the largest eigenvalues alone."""
    matrix = np.cov(x.astype(np.float64), rowvar=False)
    _, vectors = eigh(matrix, subset_by_index=[len(matrix) - dim, len(matrix) - 1], overwrite_a=True)
    return vectors[:, ::-1].T


def by_faiss(x: np.ndarray, dim: int) -> np.ndarray:
    """Returns faiss's components."""
    matrix = faiss.PCAMatrix(x.shape[1], dim)
    matrix.train(x)
    return faiss.vector_to_array(matrix.PCAMat).reshape(-1, x.shape[1])[:dim]


def by_scikit_learn(x: np.ndarray, dim: int, solver: str) -> np.ndarray:
    """Returns scikit-learn's components, computed in float64."""
    return PCA(dim, svd_solver=solver, random_state=0).fit(x.astype(np.float64)).components_


def compare_pca(count: int, dim: int, components: int) -> None:
    """Prints seconds, differences and signs of all ways."""
    x = features(count, dim)
    ways: dict[str, Callable[[], np.ndarray]] = {
        "commons.pca": lambda: principal_components(x, components).components,
        "numpy.linalg.eigh, the layer before": lambda: by_numpy(x, components),
        "scipy.linalg.eigh, test time before": lambda: by_scipy(x, components),
        "scikit-learn, covariance_eigh": lambda: by_scikit_learn(x, components, "covariance_eigh"),
        "faiss, float32": lambda: by_faiss(x, components),
    }
    found = {name: way() for name, way in ways.items()}
    seconds = alternate(ways, RUNS, warm_up=0)
    exact = by_scikit_learn(x, components, "full")
    numpys = by_numpy(x, components)
    rows = []
    for name, own in found.items():
        difference = np.abs(own * np.sign((own * exact).sum(1))[:, None] - exact).max()
        same = int(((own * numpys).sum(1) > 0).sum())
        rows.append([name, seconds[name], f"{difference:.0e}", f"{same} of {components}"])
    print(f"\n{count} x {dim} -> {components}\n")
    print_table(["principal components", "seconds", "difference", "signs"], rows)


def compare_kmeans(count: int, dim: int, clusters: int) -> None:
    """Prints seconds and spread of both."""
    draw = np.random.default_rng(0)
    centres = draw.standard_normal((clusters, dim), np.float32)
    x = centres[draw.integers(0, clusters, count)] + 2 * draw.standard_normal((count, dim), np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)

    def by_faiss() -> np.ndarray:
        kmeans = faiss.Kmeans(dim, clusters, niter=100, seed=0, min_points_per_centroid=1)
        kmeans.train(x)
        return kmeans.centroids

    ways = {
        "faiss, 100 iterations": by_faiss,
        "scikit-learn": lambda: KMeans(clusters, n_init=1, random_state=0).fit(x).cluster_centers_,
    }
    found = {name: way() for name, way in ways.items()}
    seconds = alternate(ways, RUNS, warm_up=0)
    spreads = {name: float(faiss.knn(x, np.ascontiguousarray(own), 1)[0].mean()) for name, own in found.items()}
    print(f"\n{count} x {dim}, {clusters} clusters\n")
    print_table(["k-means", "seconds", "spread"], [[name, seconds[name], f"{spreads[name]:.4f}"] for name in ways])


def main() -> None:
    """Entry point."""
    print(f"{machine()}, one thread")
    # Several libraries with a pool of threads each would wait for each other, and for whatever else the machine does.
    with threadpool_limits(1):
        for size in SIZES:
            compare_pca(*size)
        compare_kmeans(*CLUSTERS)


if __name__ == "__main__":
    main()
