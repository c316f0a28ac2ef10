"""Raters with rates of their own on items that differ in difficulty: one fit, given prevalence.

For rater j, item i with label c and difficulty u_i ~ Normal(0, 1):

    P(j errs on i | c) = sigmoid(theta_jc + sigma u_i)
    (theta_j,absent, theta_j,present) ~ Normal(m, S)         raters, partially pooled
    m: skill and bias, the half sum and half difference, near (logit 0.2, 0)

A hard item misleads all its raters, so their errors correlate, and n answers say less than n.
Label and difficulty are summed out of every item (Gauss-Hermite quadrature), the raters' logits
theta are integrated out by Laplace's method, m and S are at their mode. What is given here, sigma
and the prevalence, `calibrated` integrates out on a grid.

Laplace's method needs the *observed* information of theta. The information of the completed data,
which EM would use, is too large wherever labels are doubtful, and so makes prevalences near 0 or 1,
at which no label is in doubt, look likelier than they are.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, log_expit, logit

from estimation.aggregation.encoding import EncodedRatings
from estimation.checks import FloatArray

#: Nodes of the difficulty, and of a rater's rate where it is averaged over its posterior.
N_NODES, N_RATE_NODES = 7, 7
#: Standard deviations, on logits, of the raters' mean skill and mean bias.
MEAN_ERROR, MEAN_SKILL_SD, MEAN_BIAS_SD = 0.2, 0.3, 0.35
#: Prior guess of the raters' spread in skill and in bias, and its weight in raters. Of raters with
#: at least 15 answers on either label in three public crowds these were .7 to .9 and .7 to 1.8.
SKILL_SPREAD, BIAS_SPREAD, SPREAD_WEIGHT = 0.8, 1.2, 2.0
#: From (skill, bias) to (logit false alarm, logit miss): bias makes one rarer, the other commoner.
_MIX = np.array([[1.0, 1.0], [1.0, -1.0]])


@dataclass(frozen=True, eq=False)
class RaterFit:
    """Raters at the mode, given sigma and the prior of every label.

    Attributes
    ----------
    theta : ndarray, shape (n_raters, 2)
        Logit of the false-alarm rate and of the miss rate at difficulty 0.
    covariance : ndarray, shape (n_raters, 2, 2)
        Posterior covariance of each row.
    mean : ndarray, shape (2,)
        Population mean m.
    spread : ndarray, shape (2, 2)
        Population covariance S.
    height : float
        Log marginal likelihood at the mode of (m, S), up to a constant.
    """

    theta: FloatArray
    covariance: FloatArray
    mean: FloatArray
    spread: FloatArray
    height: float


def starting_raters(n_raters: int) -> RaterFit:
    """Make the raters of the prior, from which the first fit starts.

    Parameters
    ----------
    n_raters : int
        How many.

    Returns
    -------
    RaterFit
    """
    spread = _MIX @ np.diag([SKILL_SPREAD**2, BIAS_SPREAD**2]) @ _MIX.T
    mean = np.full(2, float(logit(MEAN_ERROR)))
    return RaterFit(
        np.tile(mean, (n_raters, 1)), np.tile(spread, (n_raters, 1, 1)), mean, spread, -np.inf
    )


def fit_raters(
    data: EncodedRatings,
    prior: FloatArray,
    sigma: float,
    start: RaterFit,
    *,
    worth: float = -np.inf,
    max_iterations: int = 100,
    tolerance: float = 0.02,
) -> tuple[RaterFit, bool]:
    """Find the raters' rates and their population by EM with Newton steps.

    Parameters
    ----------
    data : EncodedRatings
        Ratings.
    prior : ndarray, shape (n_items,)
        Logit of the prior probability of every label.
    sigma : float
        Standard deviation of the items' difficulty on the logit of an error, at least 0.
    start : RaterFit
        Where to start.
    worth : float
        A height of interest: stop early once 50 more steps like the last would not reach it.
    max_iterations : int
        Sweeps at most.
    tolerance : float
        Stop when the height changes by less than this, in nats.

    Returns
    -------
    fit : RaterFit
    converged : bool
    """
    population = _Population(start.theta.shape[0])
    nodes, log_weight = _nodes(N_NODES)
    theta, mean, spread, before = start.theta, start.mean, start.spread, -np.inf
    covariance, height = start.covariance, -np.inf
    work = _Sweep(data, prior, log_weight)
    for _ in range(max_iterations):
        shifted = theta[:, :, None] + sigma * nodes
        value, wrong, tries, squares = work.run(log_expit(shifted), log_expit(-shifted), shifted)
        covariance = _posterior_covariance(shifted, wrong, tries, squares, spread)
        height = value + population.log_density(theta, covariance, mean, spread)
        if abs(height - before) < tolerance:
            return RaterFit(theta, covariance, mean, spread, height), True
        if height + 50 * abs(height - before) < worth:
            return RaterFit(theta, covariance, mean, spread, height), False
        before = height
        theta = _newton(theta, sigma * nodes, wrong, tries, mean, _inverse(spread))
        mean, spread = population.update(theta, covariance, spread)
    return RaterFit(theta, covariance, mean, spread, height), False


def predict_labels(
    data: EncodedRatings, prior: FloatArray, sigma: float, fit: RaterFit
) -> FloatArray:
    """Compute P(present) of every item, the doubt about raters' rates averaged out.

    Parameters
    ----------
    data, prior, sigma
        As in `fit_raters`.
    fit : RaterFit
        Raters.

    Returns
    -------
    ndarray, shape (n_items,), float64
        Raters of one item are different people, whose posteriors hardly depend on each other, so
        each answer's probability is averaged over its own rater's rate.
    """
    nodes, log_weight = _nodes(N_NODES)
    error = _mean_error(fit, sigma, nodes)
    work = _Sweep(data, prior, log_weight)
    work.run(np.log(error), np.log1p(-error), logit(error))
    return work.posterior


def mean_error_rates(fit: RaterFit, sigma: float) -> FloatArray:
    """Average each rater's error rates over difficulty and over their posterior.

    Parameters
    ----------
    fit : RaterFit
        Raters.
    sigma : float
        Standard deviation of the difficulty.

    Returns
    -------
    ndarray, shape (n_raters, 2), float64
        False-alarm rates and miss rates.
    """
    nodes, log_weight = _nodes(N_NODES)
    rates: FloatArray = _mean_error(fit, sigma, nodes) @ np.exp(log_weight)
    return rates


def error_correlation(fit: RaterFit, sigma: float, weights: FloatArray) -> float:
    """Compute the correlation of two alike raters' errors on one item.

    Parameters
    ----------
    fit : RaterFit
        Raters.
    sigma : float
        Standard deviation of the difficulty.
    weights : ndarray, shape (n_raters, 2)
        Weight of each rater under each label (absent, present), not all 0.

    Returns
    -------
    float
        Variance of the error rate over difficulties, divided by that of one error; in [0, 1).
    """
    nodes, log_weight = _nodes(31)
    chance = expit(fit.theta[:, :, None] + sigma * nodes)
    average = chance @ np.exp(log_weight)
    variance = (chance - average[:, :, None]) ** 2 @ np.exp(log_weight)
    return float(np.sum(weights * variance / (average * (1 - average))) / weights.sum())


def _nodes(n: int) -> tuple[FloatArray, FloatArray]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(n)
    return nodes, np.log(weights / weights.sum())


def _mean_error(fit: RaterFit, sigma: float, nodes: FloatArray) -> FloatArray:
    """Mean error rate at every difficulty node, shape (n_raters, 2, n_nodes)."""
    points, log_weight = _nodes(N_RATE_NODES)
    sd = np.sqrt(np.einsum("jcc->jc", fit.covariance))
    total = np.zeros((*sd.shape, nodes.size))
    for point, weight in zip(points, np.exp(log_weight), strict=True):
        total += weight * expit((fit.theta + point * sd)[:, :, None] + sigma * nodes)
    # rounding must not make an error certain or impossible
    clipped: FloatArray = np.clip(total, 1e-12, 1 - 1e-12)
    return clipped


class _Sweep:
    """One pass over the ratings, with arrays that are used again by the next."""

    def __init__(self, data: EncodedRatings, prior: FloatArray, log_weight: FloatArray) -> None:
        self._data, self._prior, self._log_weight = data, prior, log_weight
        self._n_raters = len(data.raters)
        shape = (2 * self._n_raters, 2 * log_weight.size)
        self.posterior = np.empty(len(data.items))
        self._counts, self._squares = np.empty(shape), np.empty((self._n_raters, 3))

    def run(
        self, log_wrong: FloatArray, log_right: FloatArray, shifted: FloatArray
    ) -> tuple[float, FloatArray, FloatArray, FloatArray]:
        """Return log likelihood, expected errors and tries (raters, 2, nodes), and squares."""
        from estimation.aggregation import em_kernel

        chance = expit(shifted)
        value: float = em_kernel.difficulty_sweep(
            self._data.starts,
            self._data.answers,
            _by_answer(log_wrong, log_right),
            _by_answer(1 - chance, -chance),
            self._log_weight,
            self._prior,
            self._data.known,
            self.posterior,
            self._counts,
            self._squares,
        )
        counts = self._counts.reshape(self._n_raters, 2, 2, -1)  # rater, answer, label, node
        wrong = np.stack([counts[:, 1, 0], counts[:, 0, 1]], axis=1)
        return value, wrong, counts.sum(axis=1), self._squares


def _by_answer(wrong: FloatArray, right: FloatArray) -> FloatArray:
    """Turn tables (raters, label, node) of wrong and right into (rater and answer, label, node)."""
    table = np.empty((wrong.shape[0], 2, 2, wrong.shape[2]))
    table[:, 0, 0], table[:, 1, 0] = right[:, 0], wrong[:, 0]  # absent: "absent" is right
    table[:, 0, 1], table[:, 1, 1] = wrong[:, 1], right[:, 1]
    return table.reshape(2 * wrong.shape[0], -1)


def _posterior_covariance(
    shifted: FloatArray,
    wrong: FloatArray,
    tries: FloatArray,
    squares: FloatArray,
    spread: FloatArray,
) -> FloatArray:
    """Invert prior precision plus observed information (Louis, JRSS B 44, 1982) of each rater."""
    chance = expit(shifted)
    complete = (tries * chance * (1 - chance)).sum(axis=2)
    scores = (wrong * (1 - chance) ** 2 + (tries - wrong) * chance**2).sum(axis=2)
    information = np.empty((shifted.shape[0], 2, 2))
    information[:, 0, 0] = complete[:, 0] - scores[:, 0] + squares[:, 0]
    information[:, 1, 1] = complete[:, 1] - scores[:, 1] + squares[:, 1]
    information[:, 0, 1] = information[:, 1, 0] = squares[:, 2]
    # in units of the prior; negative at a saddle between two labellings, which says nothing
    root = np.linalg.cholesky(spread)
    values, vectors = np.linalg.eigh(root.T @ information @ root)
    axes = root @ vectors
    covariance: FloatArray = axes @ (
        axes.transpose(0, 2, 1) / (1 + np.maximum(values, 0))[:, :, None]
    )
    return covariance


def _newton(
    theta: FloatArray,
    shift: FloatArray,
    wrong: FloatArray,
    tries: FloatArray,
    mean: FloatArray,
    precision: FloatArray,
) -> FloatArray:
    """Two Newton steps of every rater's two logits, steps of at most 1."""
    for _ in range(2):
        chance = expit(theta[:, :, None] + shift)
        gradient = (wrong - tries * chance).sum(axis=2) - (theta - mean) @ precision
        curvature = np.tile(precision, (theta.shape[0], 1, 1))
        weight = (tries * chance * (1 - chance)).sum(axis=2)
        curvature[:, 0, 0] += weight[:, 0]
        curvature[:, 1, 1] += weight[:, 1]
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        theta = theta + np.clip(step, -1, 1)
    return theta


def _inverse(matrix: FloatArray) -> FloatArray:
    inverse: FloatArray = np.linalg.inv(matrix).astype(np.float64)
    return inverse


class _Population:
    """The priors of m and S, and the step that improves both."""

    def __init__(self, n_raters: int) -> None:
        self._n = n_raters
        start = starting_raters(1)
        self._centre, self._guess = start.mean, start.spread
        self._precision = np.linalg.inv(
            _MIX @ np.diag([MEAN_SKILL_SD**2, MEAN_BIAS_SD**2]) @ _MIX.T
        )

    def log_density(
        self, theta: FloatArray, covariance: FloatArray, mean: FloatArray, spread: FloatArray
    ) -> float:
        """Log density of theta, m and S, with Laplace's correction for theta."""
        precision = np.linalg.inv(spread)
        off, far = theta - mean, mean - self._centre
        log_spread = float(np.linalg.slogdet(spread)[1])
        value = -0.5 * float(np.einsum("jc,cd,jd->", off, precision, off))
        value += 0.5 * float(np.linalg.slogdet(covariance)[1].sum()) - 0.5 * self._n * log_spread
        value -= 0.5 * float(far @ self._precision @ far)
        weight = SPREAD_WEIGHT * (float(np.trace(self._guess @ precision)) + log_spread)
        return value - 0.5 * weight

    def update(
        self, theta: FloatArray, covariance: FloatArray, spread: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return m and S at their mode given theta."""
        precision = np.linalg.inv(spread)
        mean = np.linalg.solve(
            self._precision + self._n * precision,
            self._precision @ self._centre + precision @ theta.sum(axis=0),
        )
        off = theta - mean
        total = off.T @ off + covariance.sum(axis=0) + SPREAD_WEIGHT * self._guess
        return mean, total / (self._n + SPREAD_WEIGHT)


def answer_weights(data: EncodedRatings, present: Any) -> FloatArray:
    """Share every rater's answers between the labels.

    Parameters
    ----------
    data : EncodedRatings
        Ratings.
    present : ndarray, shape (n_items,)
        P(present) of every item.

    Returns
    -------
    ndarray, shape (n_raters, 2), float64
        Expected number of answers on absent and on present items.
    """
    label = np.repeat(present, np.diff(data.starts))
    rater = data.answers >> 1
    on_present = np.bincount(rater, label, minlength=len(data.raters))
    total = np.bincount(rater, minlength=len(data.raters))
    return np.stack([total - on_present, on_present], axis=1)
