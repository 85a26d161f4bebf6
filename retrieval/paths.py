"""Photos taken along a path vote for each other: what one of them shows badly, those before and after it tell."""

import numpy as np
from scipy.sparse import csr_matrix

JUMP = 1e-4  # probability that the next photo is anywhere, so that no path is impossible


def path_posteriors(log_likelihood: np.ndarray, moves: csr_matrix, jump: float = JUMP) -> np.ndarray:
    """Returns the probability of each place for each photo, given all photos of the path.

    This is the forward-backward algorithm. With e_t(c) the likelihood of photo t at place c, and w(c, c') how likely
    the next photo is at c' after one at c:

        P(c -> c') = (1 - jump) w(c, c') / (sum over k of w(c, k)) + jump / u
        a_1 = e_1,   a_t(c') = e_t(c') sum over c of a_(t-1)(c) P(c -> c')
        b_T = 1,     b_(t-1)(c) = sum over c' of P(c -> c') e_t(c') b_t(c')
        posterior_t(c) is proportional to a_t(c) b_t(c)

    (Rabiner, A tutorial on hidden Markov models, 1989, https://doi.org/10.1109/5.18626, section III.)

    Args:
        log_likelihood: logarithms of e, up to a constant for each photo, (t, u).
        moves: w, (u, u); each place has one to stay or to go to.
        jump: see above.

    Returns:
        Logarithms, float64 (t, u).
    """
    photos, places = log_likelihood.shape
    if not photos:
        return np.zeros((0, places))
    likely = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True)).astype(np.float64)
    share = (1 - jump) / np.asarray(moves.sum(axis=1)).ravel()
    arriving = moves.T.tocsr()
    found = np.empty((photos, places))
    found[0] = likely[0] / likely[0].sum()
    for photo in range(1, photos):
        ahead = likely[photo] * (arriving @ (share * found[photo - 1]) + jump / places)
        found[photo] = ahead / ahead.sum()
    back = np.ones(places)
    for photo in range(photos - 1, 0, -1):
        weight = likely[photo] * back
        back = share * (moves @ weight) + jump / places * weight.sum()
        back /= back.max()
        found[photo - 1] *= back
    return np.log(np.maximum(found / found.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny))
