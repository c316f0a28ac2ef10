"""The hierarchical model of ratings: data, parameters, log density and its gradient.

For concept t and input i with features x_i = (1, logit s_i, further features):

    logit P(c_i = 1) = b_t . x_i                      calibration of the concept prior
    b_t,p = mean_p + spread_p z_t,p,  z ~ Student t4  heavy tails: a concept may leave the crowd
    P(absent | c = 1) = sigmoid(miss_j)               miss rate of rater j
    P(present | c = 0) = sigmoid(false_alarm_j)       false-alarm rate of rater j
    miss_j, false_alarm_j ~ Normal(mean, spread)      partially pooled

Labels c are summed out. With S (items x 2 raters) the weights of "present by j" and "absent by j",
delta the log likelihood ratio of each such answer and z = b_t . x, the log likelihood is

    sum of log P(answers | c = 0)  +  sum_i softplus(z_i + (S delta)_i) - softplus(z_i).

For a gold item c is known, nothing is summed, and softplus(u) becomes c u: its ratings tell about
the raters, and its label about the calibration. ``hierarchical_pymc`` states this in PyMC;
``kernel`` computes the same density with its gradient in one pass over the items, for quick refits,
because compiling the PyMC model takes longer than sampling it. A test holds the two together.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import log_expit, logit

from estimation.checks import FloatArray

#: Degrees of freedom of the concepts' deviations from the population.
CONCEPT_DF = 4.0
#: Raters: population mean of (logit miss, logit false alarm): 95% between 6% and 50% errors.
RATER_MEAN, RATER_MEAN_SD = float(logit(0.2)), 0.7
RATER_SPREAD, RATER_SPREAD_LOG_SD = 0.4, 0.6
#: Label of an item that is not gold.
UNKNOWN = -1


@dataclass(frozen=True)
class CalibrationPrior:
    """Prior on the calibration of the concept prior: trust it, but be able to leave.

    A tighter prior (0.7, 0.3, 1.5 on the means) biased the scores of simulated studies of 16 pairs:
    by -0.031 against -0.012 for rare concepts, -0.043 against -0.015 where the concept prior is
    useless.

    Attributes
    ----------
    mean : tuple of float
        Prior means of the population coefficients: intercept 0 and slope 1 are full trust; further
        features 0.
    mean_sd : tuple of float
        Their standard deviations.
    spread : tuple of float
        Prior medians of the spread of concepts around the population.
    spread_log_sd : float
        Standard deviation of the logarithm of those spreads.
    """

    mean: tuple[float, float, float] = (0.0, 1.0, 0.0)
    mean_sd: tuple[float, float, float] = (1.5, 0.5, 2.0)
    spread: tuple[float, float, float] = (0.5, 0.2, 0.7)
    spread_log_sd: float = 0.6

    def columns(self, n_features: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Give mean, sd and log spread of every feature, further features sharing the last."""
        pick = np.minimum(np.arange(n_features), 2)
        return (
            np.asarray(self.mean)[pick],
            np.asarray(self.mean_sd)[pick],
            np.log(np.asarray(self.spread))[pick],
        )


@dataclass(frozen=True)
class RatingData:
    """Ratings of many concepts in the form that the likelihood needs.

    Attributes
    ----------
    features : ndarray, shape (n_items, n_features)
        Rows x_i; column 0 is 1, column 1 the logit of the clipped concept prior.
    concept : ndarray, shape (n_items,), int
        Number of each item's concept.
    answers : sparse matrix, shape (n_items, 2 n_raters)
        Weight of "present by rater j" (column j) and "absent by rater j" (column n_raters + j).
    n_concepts, n_raters : int
    known : ndarray, shape (n_items,), int64
        Label of gold items, 0 or 1; ``UNKNOWN`` elsewhere, and everywhere if not given.
    """

    features: FloatArray
    concept: NDArray[np.integer[Any]]
    answers: sparse.csr_matrix
    n_concepts: int
    n_raters: int
    known: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __post_init__(self) -> None:
        if self.known.size == 0:
            nothing = np.full(self.features.shape[0], UNKNOWN, dtype=np.int64)
            object.__setattr__(self, "known", nothing)


def answer_matrix(
    item: NDArray[np.integer[Any]],
    rater: NDArray[np.integer[Any]],
    rating: FloatArray,
    *,
    n_items: int,
    n_raters: int,
    within_item_correlation: float,
) -> sparse.csr_matrix:
    """Build the weights of answers, tempered for errors that raters share.

    Raters' errors on a hard item go the same way, so n answers carry less than n times the evidence
    of one. Each is weighted 1/(1 + (n - 1) tau), the design effect of n answers whose errors
    correlate by tau.

    Parameters
    ----------
    item, rater : ndarray, shape (n_ratings,), int
        Numbers of item and rater.
    rating : ndarray, shape (n_ratings,)
        0, 1, or NaN (cannot tell: no evidence).
    n_items, n_raters : int
        Sizes.
    within_item_correlation : float
        tau in [0, 1].

    Returns
    -------
    csr_matrix, shape (n_items, 2 n_raters)
    """
    told = np.isfinite(rating)
    item, rater, rating = item[told], rater[told], rating[told]
    n = np.bincount(item, minlength=n_items)
    weight = 1.0 / (1.0 + (n[item] - 1) * within_item_correlation)
    column = np.where(rating == 1, rater, rater + n_raters)
    return sparse.csr_matrix((weight, (item, column)), shape=(n_items, 2 * n_raters))


def answer_evidence(
    answers: sparse.csr_matrix, miss: FloatArray, false_alarm: FloatArray
) -> FloatArray:
    """Compute the log likelihood ratio of present to absent of every item.

    Parameters
    ----------
    answers : sparse matrix, shape (n_items, 2 n_raters)
        From `answer_matrix`.
    miss, false_alarm : ndarray, shape (m, n_raters)
        Logits of the raters' rates, a row a posterior draw.

    Returns
    -------
    ndarray, shape (m, n_items), float64
    """
    present = log_expit(-miss) - log_expit(false_alarm)
    absent = log_expit(miss) - log_expit(-false_alarm)
    evidence: FloatArray = (answers @ np.concatenate([present, absent], axis=1).T).T
    return evidence


class LogDensity:
    """Log posterior density and gradient over one flat vector of unconstrained parameters.

    Layout: population means (n_features, then miss, false alarm); logarithms of the spreads in the
    same order; standardised deviations of the concepts (n_features x n_concepts); of the raters
    (2 x n_raters).

    Parameters
    ----------
    data : RatingData
        Ratings.
    calibration : CalibrationPrior
        Prior on the calibration.
    """

    def __init__(self, data: RatingData, calibration: CalibrationPrior) -> None:
        self.data = data
        self.n_features = data.features.shape[1]
        n_population = self.n_features + 2
        mean, mean_sd, log_spread = calibration.columns(self.n_features)
        self.population_mean = np.concatenate([mean, [RATER_MEAN] * 2])
        self.population_sd = np.concatenate([mean_sd, [RATER_MEAN_SD] * 2])
        self.log_spread_mean = np.concatenate([log_spread, [np.log(RATER_SPREAD)] * 2])
        self.log_spread_sd = np.concatenate(
            [[calibration.spread_log_sd] * self.n_features, [RATER_SPREAD_LOG_SD] * 2]
        )
        sizes = [n_population, n_population, self.n_features * data.n_concepts, 2 * data.n_raters]
        self.cuts = np.cumsum(sizes)[:-1]
        self.size = int(np.sum(sizes))
        #: where chains start: full trust in the concept prior, average raters
        self.start = np.zeros(self.size)
        self.start[: 2 * n_population] = np.r_[self.population_mean, self.log_spread_mean]
        from estimation.aggregation.kernel import log_density

        self._kernel = log_density
        answers = data.answers
        self.population_centre = np.concatenate([self.population_mean, self.log_spread_mean])
        self.population_scale = np.concatenate([self.population_sd, self.log_spread_sd])
        self._arrays = (
            np.ascontiguousarray(data.features),
            np.ascontiguousarray(data.concept, dtype=np.int64),
            answers.indptr.astype(np.int64),
            answers.indices.astype(np.int64),
            answers.data,
            np.ascontiguousarray(data.known, dtype=np.int64),
        )

    def split(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Split parameter vectors into means, log spreads, concept and rater deviations."""
        first, second, third = self.cuts
        leading = theta.shape[:-1]
        return (
            theta[..., :first],
            theta[..., first:second],
            theta[..., second:third].reshape(*leading, self.n_features, self.data.n_concepts),
            theta[..., third:].reshape(*leading, 2, self.data.n_raters),
        )

    def natural(self, theta: FloatArray) -> dict[str, FloatArray]:
        """Name the parameters on the scale that people read.

        Parameters
        ----------
        theta : ndarray, shape (..., size)
            Parameter vectors.

        Returns
        -------
        dict of ndarray
            Each with the leading dimensions of `theta`.
        """
        means, log_spreads, concepts, raters = self.split(theta)
        spreads = np.exp(log_spreads)
        p = self.n_features
        rates = means[..., p:, None] + spreads[..., p:, None] * raters
        return {
            "calibration_mean": means[..., :p],
            "calibration_spread": spreads[..., :p],
            "calibration": means[..., :p, None] + spreads[..., :p, None] * concepts,
            "rater_mean": means[..., p:],
            "rater_spread": spreads[..., p:],
            "logit_miss": rates[..., 0, :],
            "logit_false_alarm": rates[..., 1, :],
        }

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Compute the log density (up to a constant) and its gradient.

        Parameters
        ----------
        theta : ndarray, shape (size,)
            Parameters.

        Returns
        -------
        log_density : float
        gradient : ndarray, shape (size,)
        """
        value, gradient = self._kernel(
            np.ascontiguousarray(theta),
            self.population_centre,
            self.population_scale,
            CONCEPT_DF,
            self.data.n_concepts,
            self._arrays,
        )
        return value, gradient
