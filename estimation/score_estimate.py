"""A score with its interval, and how the interval is made."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import t as student_t

from estimation.checks import EstimationError, FloatArray

#: Below this many effective draws, or above this share of one input, weights are called degenerate.
FEW_EFFECTIVE_DRAWS = 20.0
LARGE_SHARE = 0.25
#: Fewest distinct inputs that an interval is made from.
FEW_INPUTS = 5
#: Correlations are kept this far from -1 and 1, where Fisher's z is infinite.
Z_LIMIT = 1 - 1e-9


@dataclass(frozen=True)
class ScoreEstimate:
    """Estimated score of one explanation of one neuron.

    Attributes
    ----------
    score : float
        Point estimate of the Pearson correlation, in [-1, 1]; NaN where it is undefined (a warning
        says why).
    lower, upper : float
        Ends of the interval, in [-1, 1].
    level : float
        Nominal coverage of the interval, in (0, 1).
    standard_error : float
        Standard error of the score.
    n_effective : float
        Effective number of draws, (sum w)^2 / sum w^2; for estimates from the model, N.
    n_inputs_rated : int
        Distinct inputs the estimate rests on.
    estimator : str
        Which estimator made it.
    warnings : tuple of str
        What a reader of the score must know.
    """

    score: float
    lower: float
    upper: float
    level: float
    standard_error: float
    n_effective: float
    n_inputs_rated: int
    estimator: str
    warnings: tuple[str, ...] = ()


def check_level(level: float) -> None:
    """Refuse a level outside (0, 1).

    Parameters
    ----------
    level : float
        Nominal coverage.

    Raises
    ------
    EstimationError
        When it is outside (0, 1).
    """
    if not 0 < level < 1:
        msg = f"level: {level} is outside (0, 1); 0.95 is usual"
        raise EstimationError(msg)


def undefined_score(
    estimator: str,
    level: float,
    n_effective: float,
    n_inputs_rated: int,
    warnings: tuple[str, ...],
) -> ScoreEstimate:
    """Make the estimate of a score that the sample leaves undefined: NaN, interval [-1, 1]."""
    return ScoreEstimate(
        float("nan"),
        -1.0,
        1.0,
        level,
        float("nan"),
        n_effective,
        n_inputs_rated,
        estimator,
        warnings,
    )


def mixture_interval(
    scores: FloatArray, variances: FloatArray, *, level: float, degrees_of_freedom: float
) -> tuple[float, float]:
    """Interval from scores of several imputations, each with its own sampling variance.

    Each imputed labelling m gives a score and, from the sampling design, its variance. On Fisher's
    z scale the uncertainty is the equal mixture over m of t-distributions around z_m: spread within
    an imputation is the design's, spread between imputations the labels'. The two add up as in
    Rubin's rules, each once; and the ends stay inside [-1, 1].

    Parameters
    ----------
    scores : ndarray, shape (m,)
        Correlations in [-1, 1].
    variances : ndarray, shape (m,)
        Their sampling variances, non-negative.
    level : float
        Nominal coverage.
    degrees_of_freedom : float
        Of the t-distributions, at least 1.

    Returns
    -------
    lower, upper : float

    References
    ----------
    Rubin, Multiple Imputation for Nonresponse in Surveys (1987), ch. 3.
    """
    clipped = np.clip(scores, -Z_LIMIT, Z_LIMIT)
    centres = np.arctanh(clipped)
    spreads = np.sqrt(np.maximum(variances, 1e-24)) / np.maximum(1 - clipped**2, 1e-9)
    quantiles = []
    for probability in ((1 - level) / 2, (1 + level) / 2):
        own = centres + spreads * student_t.ppf(probability, degrees_of_freedom)
        low, high = float(own.min()), float(own.max())
        if high - low < 1e-12:
            quantiles.append(low)
            continue

        def excess(z: float, probability: float = probability) -> float:
            inside = student_t.cdf((z - centres) / spreads, degrees_of_freedom)
            return float(inside.mean()) - probability

        # every component is below `probability` left of its own quantile, hence the brackets
        quantiles.append(float(brentq(excess, low - 1e-9, high + 1e-9, xtol=1e-8)))
    return float(np.tanh(quantiles[0])), float(np.tanh(quantiles[1]))


def estimate_from_imputations(
    scores: FloatArray,
    variances: FloatArray,
    *,
    level: float,
    n_effective: float,
    n_inputs_rated: int,
    estimator: str,
    warnings: list[str],
) -> ScoreEstimate:
    """Make an estimate from the scores of imputed labellings and their sampling variances.

    Parameters
    ----------
    scores, variances : ndarray, shape (m,)
        See `mixture_interval`.
    level : float
        Nominal coverage.
    n_effective : float
        Effective number of draws; the t-distributions have two degrees of freedom less.
    n_inputs_rated : int
        Distinct inputs rated; with fewer than `FEW_INPUTS` the interval is [-1, 1], because two
        points always lie on a line and say nothing of their variance. So it is where a variance is
        infinite.
    estimator : str
        Name.
    warnings : list of str
        Warnings so far.

    Returns
    -------
    ScoreEstimate
        The score is the mean over labellings.
    """
    score = float(scores.mean())
    error = float(np.sqrt(variances.mean() + scores.var()))
    if n_inputs_rated < FEW_INPUTS:
        lower, upper = -1.0, 1.0
        warnings = [
            *warnings,
            f"only {n_inputs_rated} distinct inputs, too few for an interval: rate {FEW_INPUTS}",
        ]
    elif not np.isfinite(error):
        lower, upper = -1.0, 1.0
        note = (
            "chance decided a single draw, all others were certain, so the sample does not say how "
            "far off it is: draw more inputs, or with replacement"
        )
        warnings = [*warnings, note]
    else:
        lower, upper = mixture_interval(
            scores, variances, level=level, degrees_of_freedom=max(n_effective - 2, 1.0)
        )
    return ScoreEstimate(
        score,
        min(lower, score),  # a mean may leave the quantiles of a lopsided mixture
        max(upper, score),
        level,
        error,
        n_effective,
        n_inputs_rated,
        estimator,
        tuple(warnings),
    )


def effective_draws(weights: FloatArray) -> float:
    """Compute Kish's effective sample size (sum w)^2 / sum w^2.

    Parameters
    ----------
    weights : ndarray, shape (n,)
        Importance weights.

    Returns
    -------
    float
    """
    return float(weights.sum() ** 2 / np.sum(weights**2))


def weight_warnings(weights: FloatArray) -> list[str]:
    """Say when importance weights are so uneven that few draws decide.

    Parameters
    ----------
    weights : ndarray, shape (n,)
        Importance weights.

    Returns
    -------
    list of str
    """
    effective = effective_draws(weights)
    share = float(weights.max() / weights.sum())
    if effective >= FEW_EFFECTIVE_DRAWS and share <= LARGE_SHARE:
        return []
    note = (
        f"weights degenerate: {weights.size} draws count as {effective:.1f}, and one draw carries "
        f"{share:.0%} of the weight; draw more inputs or raise gamma"
    )
    return [note]
