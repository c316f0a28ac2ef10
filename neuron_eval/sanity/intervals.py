"""Binomial intervals for shares that were counted in clusters."""

from collections.abc import Sequence

import numpy as np
from scipy import stats


def clopper_pearson(hits: float, trials: float, confidence: float = 0.95) -> tuple[float, float]:
    """Compute the exact binomial interval of a share.

    Parameters
    ----------
    hits : float
        Number of hits; need not be whole, for effective sample sizes are not.
    trials : float
        Number of trials, positive.
    confidence : float, default 0.95
        Coverage, in (0, 1).

    Returns
    -------
    (float, float)
        Lower and upper bound of the probability of a hit.

    References
    ----------
    Clopper, Pearson, Biometrika 26, 1934.
    """
    tail = (1 - confidence) / 2
    low = stats.beta.ppf(tail, hits, trials - hits + 1) if hits > 0 else 0.0
    high = stats.beta.ppf(1 - tail, hits + 1, trials - hits) if hits < trials else 1.0
    return float(low), float(high)


def clustered_share(
    hits: Sequence[int], trials: Sequence[int], confidence: float = 0.95
) -> tuple[float, float, float]:
    """Estimate a share and its interval from trials that come in clusters.

    Draws of one (neuron, concept) pair resemble each other, so they are worth less than as many
    independent trials. The Clopper-Pearson interval is taken at the effective number of trials:
    between one per cluster and all of them, from the variance between clusters. Where all trials
    agree, that variance says nothing, and every cluster counts once.

    Parameters
    ----------
    hits : sequence of int
        Hits per cluster.
    trials : sequence of int
        Trials per cluster; clusters without trials are left out.
    confidence : float, default 0.95
        Coverage, in (0, 1).

    Returns
    -------
    (float, float, float)
        Share, lower and upper bound; NaN, 0 and 1 without trials.

    References
    ----------
    Korn, Graubard, "Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data", Survey Methodology 24, 1998.
    """
    h, t = np.asarray(hits, dtype=float), np.asarray(trials, dtype=float)
    h, t = h[t > 0], t[t > 0]
    n_clusters, total = len(t), t.sum()
    if n_clusters == 0:
        return float("nan"), 0.0, 1.0
    share = h.sum() / total
    effective = float(n_clusters)
    if 0 < share < 1 and n_clusters > 1:
        residuals = h - share * t
        variance = n_clusters / (n_clusters - 1) * (residuals**2).sum() / total**2
        independent = share * (1 - share) / variance if variance > 0 else total
        effective = float(np.clip(independent, n_clusters, total))
    low, high = clopper_pearson(share * effective, effective, confidence)
    return float(share), low, high
