"""Sampling variance of a weighted mean, for every design."""

import numpy as np

from estimation.checks import FloatArray
from estimation.sampling.draw import Draw


def design_variance(values: FloatArray, draw: Draw) -> FloatArray:
    """Estimate the sampling variance of the mean of weighted values over the draws.

    Parts of the draw (pooled draws, strata) are independent, so variances are taken within them,
    as far as every part has two draws that chance decided; else the draw counts as one part.
    Within a part of m draws, with z the values and p the part's own inclusion probabilities (0
    with replacement), the variance of sum z is estimated by

        sum (1 - p) (z - B)^2 / (1 - sum a^2),   a = (1 - p) / sum (1 - p),   B = sum a z.

    With replacement that is m times the sample variance; without, Deville's estimator, which needs
    no joint inclusion probabilities; inputs that were certain to be drawn add nothing.

    Parameters
    ----------
    values : ndarray, shape (..., n_draws)
        Weighted values whose mean over the draws is the estimate.
    draw : Draw
        The sample.

    Returns
    -------
    ndarray, shape (...), float64
        Infinite when chance decided a single draw, which says nothing of its variance; zero when
        all inputs were certain to be drawn.

    References
    ----------
    Deville, "Variance estimation for complex statistics and estimators" (1999), sec. 3; Hajek,
    "Asymptotic theory of rejective sampling" (1964).
    """
    n = draw.n_draws
    chance = np.ones(n) if draw.own_inclusion is None else 1.0 - draw.own_inclusion
    parts = np.zeros(n, dtype=np.int64) if draw.source is None else draw.source
    random_draws = np.bincount(parts, weights=chance > 0)
    if np.any(random_draws == 1):
        parts = np.zeros(n, dtype=np.int64)
        random_draws = np.array([float(np.count_nonzero(chance > 0))])
    total = np.zeros(values.shape[:-1])
    for number in np.flatnonzero(random_draws):
        if random_draws[number] == 1:
            return np.full(values.shape[:-1], np.inf)
        own = parts == number
        share = chance[own] / chance[own].sum()
        part = values[..., own]
        off = part - (part @ share)[..., None]
        total += (off**2) @ chance[own] / (1.0 - np.sum(share**2))
    return total / n**2
