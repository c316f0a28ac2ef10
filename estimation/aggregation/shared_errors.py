"""How far raters err together on one item, estimated from the ratings themselves.

Two raters of a hard item err together, so n answers are worth n / (1 + (n - 1) tau) independent
ones, tau being the correlation of two raters' answers to one item given its label. The hierarchical
model takes tau as a number; here it is estimated before that model is sampled, from a simpler one
in which raters are exchangeable: k of n "present" answers are beta-binomial given the label, with
intraclass correlation tau, and the label follows the calibrated prior. Which raters answered is
left out on purpose: raters who differ do not correlate within an item.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from scipy.stats import beta

from estimation.aggregation.density import (
    RATER_MEAN,
    RATER_MEAN_SD,
    UNKNOWN,
    CalibrationPrior,
)
from estimation.checks import FloatArray

#: Values of tau that are compared.
GRID = (0.0, 0.02, 0.04, 0.07, 0.1, 0.14, 0.18, 0.23, 0.3, 0.4, 0.55, 0.75)
#: Prior Beta(1, 9) of tau: mean 0.1, what real crowds show, and independence not excluded.
PRIOR = (1.0, 9.0)


@dataclass(frozen=True, eq=False)
class ItemCounts:
    """Ratings of every item, counted.

    Attributes
    ----------
    features : ndarray, shape (n_items, n_features)
        Rows x_i, see `estimation.aggregation.density`.
    concept : ndarray, shape (n_items,), int64
        Number of each item's concept.
    n, k : ndarray, shape (n_items,), int64
        Ratings of the item, and those that say present.
    known : ndarray, shape (n_items,), int64
        Label of gold items, ``UNKNOWN`` elsewhere.
    calibration : CalibrationPrior
        Prior on the calibration.
    """

    features: FloatArray
    concept: NDArray[np.int64]
    n: NDArray[np.int64]
    k: NDArray[np.int64]
    known: NDArray[np.int64]
    calibration: CalibrationPrior


#: What estimates tau from counts; `marginal_correlation` unless another is given.
CorrelationEstimator = Callable[[ItemCounts], float]


def marginal_correlation(counts: ItemCounts) -> float:
    """Estimate tau by its posterior mean on a grid.

    For every tau the calibration of each concept and the raters' two mean rates are put at their
    joint mode; the height of that mode is the profile likelihood of tau, which times the prior
    Beta(1, 9) gives the posterior. Items with one rating say nothing of tau, so with few repeated
    ratings the estimate stays at 0.1.

    Parameters
    ----------
    counts : ItemCounts
        Ratings.

    Returns
    -------
    float
        In [0, 0.75].

    References
    ----------
    Kish, Survey Sampling (1965), sec. 5.4, for the design effect; Williams, "The analysis of binary
    responses from toxicological experiments" (1975), for the beta-binomial model.
    """
    if counts.n.max(initial=0) < 2:
        return PRIOR[0] / sum(PRIOR)
    taus = np.asarray(GRID)
    heights = profile_log_likelihood(counts, taus)
    # weights of a trapezium rule, the prior at 0 and elsewhere being finite for Beta(1, b)
    widths = np.gradient(taus)
    widths[[0, -1]] /= 2
    weight = np.exp(heights - heights.max()) * beta.pdf(taus, *PRIOR) * widths
    return float(weight @ taus / weight.sum())


def profile_log_likelihood(counts: ItemCounts, taus: FloatArray) -> FloatArray:
    """Compute the log posterior at its mode for each of several values of tau.

    Parameters
    ----------
    counts : ItemCounts
        Ratings.
    taus : ndarray, shape (m,)
        Values of tau in [0, 1).

    Returns
    -------
    ndarray, shape (m,), float64
        Up to a constant that all share.
    """
    n_features = counts.features.shape[1]
    n_concepts = int(counts.concept.max()) + 1
    mean, mean_sd, log_spread = counts.calibration.columns(n_features)
    spread = np.exp(log_spread)
    # population means, standardised deviations of the concepts, the raters' two mean rates
    centre = np.concatenate([mean, np.zeros(n_features * n_concepts), [RATER_MEAN] * 2])
    scale = np.concatenate([mean_sd, np.ones(n_features * n_concepts), [RATER_MEAN_SD] * 2])
    pairs, row = np.unique(np.column_stack([counts.n, counts.k]), axis=0, return_inverse=True)
    row = row.ravel()
    heights = []
    theta = centre.copy()
    for tau in taus:

        def negative(theta: FloatArray, tau: float = float(tau)) -> tuple[float, FloatArray]:
            value, gradient = _log_likelihood(counts, pairs, row, spread, theta, tau)
            off = (theta - centre) / scale
            return 0.5 * float(off @ off) - value, off / scale - gradient

        found = minimize(negative, theta, jac=True, method="L-BFGS-B", options={"maxiter": 300})
        theta = found.x
        heights.append(-float(found.fun))
    return np.array(heights)


def _log_likelihood(
    counts: ItemCounts,
    pairs: NDArray[np.int64],
    row: NDArray[np.int64],
    spread: FloatArray,
    theta: FloatArray,
    tau: float,
) -> tuple[float, FloatArray]:
    """Log likelihood and gradient; `pairs` are the distinct (n, k), `row` that of each item."""
    p = spread.size
    b = theta[:p, None] + spread[:, None] * theta[p:-2].reshape(p, -1)
    present, d_present = _log_beta_binomial(pairs[:, 0], pairs[:, 1], expit(-theta[-2]), tau)
    absent, d_absent = _log_beta_binomial(pairs[:, 0], pairs[:, 1], expit(theta[-1]), tau)
    z = np.einsum("ip,pi->i", counts.features, b[:, counts.concept])
    one, zero = log_expit(z) + present[row], log_expit(-z) + absent[row]
    free = counts.known == UNKNOWN
    log_item = np.where(free, np.logaddexp(one, zero), np.where(counts.known == 1, one, zero))
    g = np.where(free, expit(one - zero), counts.known == 1)
    slope = (g - expit(z))[:, None] * counts.features
    gradient = np.empty_like(theta)
    by_concept = np.stack([np.bincount(counts.concept, x, b.shape[1]) for x in slope.T])
    gradient[:p] = by_concept.sum(axis=1)
    gradient[p:-2] = (spread[:, None] * by_concept).ravel()
    hit, false_alarm = expit(-theta[-2]), expit(theta[-1])
    gradient[-2] = -hit * (1 - hit) * float(g @ d_present[row])
    gradient[-1] = false_alarm * (1 - false_alarm) * float((1 - g) @ d_absent[row])
    return float(log_item.sum()), gradient


def _log_beta_binomial(
    n: NDArray[np.int64], k: NDArray[np.int64], p: float, tau: float
) -> tuple[FloatArray, FloatArray]:
    """Log probability of k of n, up to the binomial coefficient, and its derivative by p."""
    value, slope = np.zeros(n.size), np.zeros(n.size)
    for j in range(int(n.max(initial=0))):
        yes, no = p * (1 - tau) + j * tau, (1 - p) * (1 - tau) + j * tau
        value += (j < k) * np.log(yes) + (j < n - k) * np.log(no)
        value -= (j < n) * np.log(1 - tau + j * tau)
        slope += (1 - tau) * ((j < k) / yes - (j < n - k) / no)
    return value, slope
