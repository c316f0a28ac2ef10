"""Draws of a posterior that is a mixture: t-distributions at its modes, weighted to be exact."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln, logsumexp

from estimation.checks import FloatArray

PROPOSAL_DF = 5.0
#: Modes are looked for within so many standard deviations of the prior.
FARTHEST = 15.0
#: Share of the proposals that modes get in equal parts, so that a poor Laplace evidence loses none.
EQUAL_SHARE = 0.3


@dataclass(frozen=True, eq=False)
class Mode:
    """A mode of a log density, and the normal distribution that fits it there.

    Attributes
    ----------
    place : ndarray, shape (d,)
        Where it is.
    root : ndarray, shape (d, d)
        Cholesky factor of the covariance that the curvature implies.
    log_evidence : float
        Laplace's approximation of the log of the density's integral.
    """

    place: FloatArray
    root: FloatArray
    log_evidence: float


def find_mode(
    objective: Callable[[FloatArray], tuple[float, FloatArray]],
    start: FloatArray,
    precision: FloatArray,
) -> Mode:
    """Find the mode of a log density with gradient, and its curvature.

    Parameters
    ----------
    objective : callable
        Vector of shape (d,) to (log density, gradient).
    start : ndarray, shape (d,)
        Where to begin: the mean of the prior.
    precision : ndarray, shape (d,)
        Precisions of the prior: the least curvature that is believed is a tenth of the smallest.

    Returns
    -------
    Mode
    """

    def falling(theta: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = objective(theta)
        return -value, -gradient

    # scaled by the prior, so that one step length suits all coordinates
    scale = 1 / np.sqrt(precision)

    def scaled(u: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = falling(u * scale)
        return value, gradient * scale

    # bounds keep a line search from parameters so large that the density overflows
    centre = start / scale
    found = minimize(
        scaled,
        centre,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(centre - FARTHEST, centre + FARTHEST, strict=True)),
        options={"gtol": 1e-4, "ftol": 1e-10},
    )
    place = np.asarray(found.x, dtype=np.float64) * scale
    step = 1e-4 * scale
    d = place.size
    curvature = np.empty((d, d))
    for j in range(d):
        ahead, behind = place.copy(), place.copy()
        ahead[j] += step[j]
        behind[j] -= step[j]
        curvature[j] = (falling(ahead)[1] - falling(behind)[1]) / (2 * step[j])
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    values = np.maximum(values, 0.1 * float(precision.min()))
    covariance = (vectors / values) @ vectors.T
    log_evidence = (
        -float(found.fun) - 0.5 * float(np.log(values).sum()) + 0.5 * d * float(np.log(2 * np.pi))
    )
    return Mode(place, np.asarray(np.linalg.cholesky(covariance)), log_evidence)


def weighted_draws(
    modes: Sequence[Mode],
    log_density: Callable[[FloatArray], FloatArray],
    n_draws: int,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Draw from t-distributions at the modes and weight the draws by the density.

    Parameters
    ----------
    modes : sequence of Mode
        Modes of the parts of the density.
    log_density : callable
        Rows of shape (m, d) to log densities of shape (m,), up to one constant.
    n_draws : int
        Draws.
    rng : Generator
        Source of chance.

    Returns
    -------
    draws : ndarray, shape (n_draws, d)
    weights : ndarray, shape (n_draws,)
        Summing to 1.
    """
    evidence = np.array([mode.log_evidence for mode in modes])
    share = (1 - EQUAL_SHARE) * np.exp(evidence - logsumexp(evidence)) + EQUAL_SHARE / len(modes)
    share = share / share.sum()
    d = modes[0].place.size
    chosen = rng.choice(len(modes), n_draws, p=share)
    normal = rng.standard_normal((n_draws, d))
    stretch = np.sqrt(PROPOSAL_DF / rng.chisquare(PROPOSAL_DF, n_draws))
    draws = np.empty((n_draws, d))
    for number, mode in enumerate(modes):
        own = chosen == number
        draws[own] = mode.place + stretch[own, None] * (normal[own] @ mode.root.T)
    log_proposal = logsumexp(
        [np.log(share[j]) + _log_t(draws, mode) for j, mode in enumerate(modes)], axis=0
    )
    log_weight = log_density(draws) - log_proposal
    weights: FloatArray = np.exp(log_weight - logsumexp(log_weight))
    return draws, weights


def log_normal(values: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
    """Log density of independent normals, up to the constant that all share.

    Parameters
    ----------
    values : ndarray, shape (m, d)
        Points.
    mean, sd : ndarray, shape (d,)
        Of the normals.

    Returns
    -------
    ndarray, shape (m,)
    """
    total: FloatArray = -0.5 * np.sum(((values - mean) / sd) ** 2, axis=1)
    return total - float(np.log(sd).sum())


def _log_t(values: FloatArray, mode: Mode) -> FloatArray:
    """Log density of a multivariate t-distribution at a mode, up to the constant all share."""
    d = mode.place.size
    standard = np.linalg.solve(mode.root, (values - mode.place).T)
    constant = gammaln((PROPOSAL_DF + d) / 2) - gammaln(PROPOSAL_DF / 2)
    constant -= float(np.log(np.diag(mode.root)).sum())
    tail: FloatArray = np.log1p(np.sum(standard**2, axis=0) / PROPOSAL_DF)
    result: FloatArray = constant - (PROPOSAL_DF + d) / 2 * tail
    return result
