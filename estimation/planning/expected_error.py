"""Error that an estimate would have if the labels were known: bias, and variance by the design."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from estimation.checks import FloatArray
from estimation.planning.ratings_ahead import PosteriorMoments
from estimation.sampling import correlation_influence

Estimator = Literal["importance_weighted", "model_assisted"]

ESTIMATORS: tuple[Estimator, ...] = ("importance_weighted", "model_assisted")


@dataclass(frozen=True, eq=False)
class LinearizedError:
    """The error of an estimate, linearised around what it tends to with ever more inputs.

    Attributes
    ----------
    score : float
        True correlation.
    bias : float
        What the labels' posteriors, drawn towards the prior, leave off the score even if every
        input were rated.
    contribution, noise : ndarray, shape (n_inputs,)
        Mean of an input's contribution over the outcomes of its ratings, and its variance.
    """

    score: float
    bias: float
    contribution: FloatArray
    noise: FloatArray


def linearized_error(
    scaled: FloatArray,
    labels: FloatArray,
    moments: PosteriorMoments,
    prior: FloatArray,
    estimator: Estimator,
) -> LinearizedError | None:
    """Linearise the error of an estimate for one true concept vector.

    With g the posterior of a label and L its imputation, the weighted correlation moves by
    z_a z_L - rho/2 (z_a^2 + z_L^2), which is linear in g after averaging over L, since L^2 = L.
    The difference estimator moves by f (g - p), f the influence of a label, p the prediction.

    Parameters
    ----------
    scaled : ndarray, shape (n_inputs,)
        Standardised activations.
    labels : ndarray, shape (n_inputs,)
        True labels, 0 or 1.
    moments : PosteriorMoments
        Of the label posteriors, given the labels.
    prior : ndarray, shape (n_inputs,)
        What the model predicts before any rating.
    estimator : {"importance_weighted", "model_assisted"}
        Which estimate.

    Returns
    -------
    LinearizedError or None
        None when the labels are all alike, so that there is no score.
    """
    share = float(labels.mean())
    if share in (0.0, 1.0):
        return None
    present = labels == 1
    mean = np.where(present, moments.mean[1], moments.mean[0])
    variance = np.where(present, moments.variance[1], moments.variance[0])
    score = float(np.mean(scaled * labels)) / float(np.sqrt(share * (1 - share)))
    mu, t2 = float(mean.mean()), float(np.mean(scaled * mean))
    sd = float(np.sqrt(mu * (1 - mu)))
    limit = t2 / sd
    if estimator == "importance_weighted":
        absent = -mu / sd
        there = (1 - mu) / sd
        base = scaled * absent - 0.5 * limit * (scaled**2 + absent**2)
        slope = scaled * (there - absent) - 0.5 * limit * (there**2 - absent**2)
        contribution = base + slope * mean
    else:
        slope = correlation_influence(scaled, mu, t2)
        contribution = slope * (mean - prior)
    return LinearizedError(score, limit - score, contribution, slope**2 * variance)
