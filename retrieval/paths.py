"""Photos taken along a path vote for each other: what one of them shows badly, those before and after it tell."""

import numpy as np
from scipy.sparse import csr_matrix, identity
from scipy.spatial import cKDTree

from commons.sphere import km_to_chord, unit_vectors

JUMP = 1e-4  # probability that the next photo is anywhere, so that no path is impossible


def reachable(latitude: np.ndarray, longitude: np.ndarray, metres: float) -> csr_matrix:
    """Returns which places are at most some metres apart, itself included.

    Args:
        latitude, longitude: degrees, (u,).
        metres: great-circle distance.

    Returns:
        Zeros and ones, float64 (u, u).
    """
    tree = cKDTree(unit_vectors(latitude, longitude))
    pairs = tree.query_pairs(float(km_to_chord(np.array(metres / 1000))), output_type="ndarray")
    one_way = csr_matrix((np.ones(len(pairs)), pairs.T), shape=(len(latitude), len(latitude)))
    return (one_way + one_way.T + identity(len(latitude))).tocsr()


def path_posteriors(log_likelihood: np.ndarray, near: csr_matrix, jump: float = JUMP) -> np.ndarray:
    """Returns the probability of each place for each photo, given all photos of the path.

    This is the forward-backward algorithm. With e_t(c) the likelihood of photo t at place c, and n(c) the number of
    places within reach of c:

        P(c -> c') = (1 - jump) [c' within reach of c] / n(c) + jump / u
        a_1 = e_1,   a_t(c') = e_t(c') sum over c of a_(t-1)(c) P(c -> c')
        b_T = 1,     b_(t-1)(c) = sum over c' of P(c -> c') e_t(c') b_t(c')
        posterior_t(c) is proportional to a_t(c) b_t(c)

    (Rabiner, A tutorial on hidden Markov models, 1989, https://doi.org/10.1109/5.18626, section III.)

    Args:
        log_likelihood: logarithms of e, up to a constant for each photo, (t, u).
        near: of `reachable`.
        jump: see above.

    Returns:
        Logarithms, float64 (t, u).
    """
    photos, places = log_likelihood.shape
    if not photos:
        return np.zeros((0, places))
    likely = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True)).astype(np.float64)
    share = (1 - jump) / np.asarray(near.sum(axis=1)).ravel()
    arriving = near.T.tocsr()
    found = np.empty((photos, places))
    found[0] = likely[0] / likely[0].sum()
    for photo in range(1, photos):
        ahead = likely[photo] * (arriving @ (share * found[photo - 1]) + jump / places)
        found[photo] = ahead / ahead.sum()
    back = np.ones(places)
    for photo in range(photos - 1, 0, -1):
        weight = likely[photo] * back
        back = share * (near @ weight) + jump / places * weight.sum()
        back /= back.max()
        found[photo - 1] *= back
    return np.log(np.maximum(found / found.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny))
