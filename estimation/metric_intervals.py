"""Intervals for scores of any range: mixtures of t-distributions on a scale without ends."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import t as student_t

from estimation.checks import FloatArray

Bounds = tuple[float, float] | None

# How close to its ends a score may come, as a share of its range: there the logit is infinite.
_CLOSEST = 1e-9


def ends_of(bounds: Bounds) -> tuple[float, float]:
    """Return the least and the greatest possible score, infinite for an unbounded metric."""
    return (-np.inf, np.inf) if bounds is None else bounds


def mixture_of_t(
    scores: FloatArray,
    variance: float,
    bounds: Bounds,
    *,
    level: float,
    degrees_of_freedom: float,
) -> tuple[float, float]:
    """Interval from the scores of several labellings and their common sampling variance.

    A bounded score is taken to the logit of its position in the range (for correlations twice
    Fisher's z), so that the ends of the interval stay inside. A score nearer to an end of the range
    than one standard error is treated as if it lay one standard error away: at the end itself the
    logit would make of any error an infinite one.

    Parameters
    ----------
    scores : ndarray, shape (m,)
        Scores of the labellings.
    variance : float
        Sampling variance of one labelling's score.
    bounds : (float, float) or None
        Range of the metric; None where unbounded.
    level : float
        Nominal coverage.
    degrees_of_freedom : float
        Of the t-distributions, at least 1.

    Returns
    -------
    lower, upper : float
        Equal-tailed quantiles of the equal mixture.

    References
    ----------
    Rubin, Multiple Imputation for Nonresponse in Surveys (1987), ch. 3.
    """
    error = float(np.sqrt(max(variance, 1e-24)))
    if bounds is None:
        return _quantiles(scores, np.full(scores.shape, error), level, degrees_of_freedom)
    least, width = bounds[0], bounds[1] - bounds[0]
    margin = min(max(error / width, _CLOSEST), 0.5)
    position = np.clip((scores - least) / width, margin, 1 - margin)
    spreads = error / (width * position * (1 - position))
    low, high = _quantiles(np.asarray(logit(position)), spreads, level, degrees_of_freedom)
    return float(least + width * expit(low)), float(least + width * expit(high))


def _quantiles(
    centres: FloatArray, spreads: FloatArray, level: float, degrees_of_freedom: float
) -> tuple[float, float]:
    """Compute equal-tailed quantiles of the equal mixture of t-distributions."""
    found = []
    for probability in ((1 - level) / 2, (1 + level) / 2):
        own = centres + spreads * student_t.ppf(probability, degrees_of_freedom)
        low, high = float(own.min()), float(own.max())
        if high - low < 1e-12:
            found.append(low)
            continue

        def excess(value: float, probability: float = probability) -> float:
            inside = student_t.cdf((value - centres) / spreads, degrees_of_freedom)
            return float(inside.mean()) - probability

        # every component is below `probability` left of its own quantile, hence the brackets
        found.append(float(brentq(excess, low - 1e-9, high + 1e-9, xtol=1e-8)))
    return found[0], found[1]
