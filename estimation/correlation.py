"""Pearson correlation of a neuron with a concept from a weighted sample of labels.

The estimand is rho(a, c) over all N probe inputs, a known everywhere, c the binary concept vector.
Estimators that also use a model of the unrated inputs are in ``estimation.model_correlation``,
those of weighted sums of concepts in ``estimation.linear_explanations``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from estimation.checks import EstimationError, FloatArray, standardized
from estimation.imputation import DEFAULT_IMPUTATIONS, checked_labels, impute_labels
from estimation.sampling import Draw, design_variance
from estimation.score_estimate import (
    ScoreEstimate,
    check_level,
    effective_draws,
    estimate_from_imputations,
    undefined_score,
    weight_warnings,
)


def published_correlation(
    activation: ArrayLike, draw: Draw, labels: ArrayLike, *, level: float = 0.95
) -> ScoreEstimate:
    """Estimate the correlation exactly as the published method does.

    With weights w = (1/N)/q: mu = mean w c, var = mean w (c - mu)^2, and
    rho = mean w a (c - mu) / sd, a standardised over all inputs, c the aggregated (soft) labels.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron over all inputs.
    draw : Draw
        The sample.
    labels : array-like, shape (n_draws,)
        Aggregated labels in [0, 1], for instance from BRAgg.
    level : float
        Nominal coverage of the interval.

    Returns
    -------
    ScoreEstimate
        The point estimate is the published one, clipped to [-1, 1] with a warning (the formula can
        leave that range). The interval is ours, from the linearised sampling variance; it does not
        carry doubt about labels, which is why `importance_weighted_correlation` exists.

    Raises
    ------
    EstimationError
        When shapes do not match or values are out of range.

    References
    ----------
    Oikarinen, Yan, Kulkarni, Weng, arXiv 2506.07985.
    """
    check_level(level)
    scaled = _activation_of(activation, draw)[draw.indices]
    soft = checked_labels(labels, draw)
    if soft.shape[0] != 1:
        msg = f"labels: expected one row, got {soft.shape[0]} posterior draws; give their mean"
        raise EstimationError(msg)
    weights = draw.weights
    n_effective = effective_draws(weights)
    notes = weight_warnings(weights)
    mean = float(np.mean(weights * soft[0]))
    centred = soft[0] - mean
    variance = float(np.mean(weights * centred**2))
    n_rated = int(draw.unique_indices.size)
    # the weights do not average to exactly 1, so constant labels would still give some number
    if soft[0].min() == soft[0].max() or variance <= 1e-15:
        notes.append(_constant_note(soft[0]))
        return undefined_score("published", level, n_effective, n_rated, tuple(notes))
    raw = float(np.mean(weights * scaled * centred) / np.sqrt(variance))
    if abs(raw) > 1:
        notes.append(f"the published formula gave {raw:.3f}, outside [-1, 1]; clipped")
    score = float(np.clip(raw, -1.0, 1.0))
    influence = weights * (scaled * centred / np.sqrt(variance) - 0.5 * raw * centred**2 / variance)
    # mu enters the two means through its own error: d rho / d mu times w c
    slope = -(
        np.mean(weights * scaled) / np.sqrt(variance)
        - raw * float(np.mean(weights * centred)) / variance
    )
    sampling_variance = variance_of_mean(influence + slope * weights * soft[0], draw)
    return estimate_from_imputations(
        np.array([score]),
        np.array([sampling_variance]),
        level=level,
        n_effective=n_effective,
        n_inputs_rated=n_rated,
        estimator="published",
        warnings=notes,
    )


@dataclass(frozen=True)
class WeightedMoments:
    """Self-normalised weighted moments of activation and imputed labels.

    Attributes
    ----------
    scores : ndarray, shape (m,)
        Weighted Pearson correlation of every imputed labelling.
    variances : ndarray, shape (m,)
        Their linearised sampling variances.
    """

    scores: FloatArray
    variances: FloatArray


def importance_weighted_correlation(
    activation: ArrayLike,
    draw: Draw,
    labels: ArrayLike,
    *,
    level: float = 0.95,
    n_imputations: int = DEFAULT_IMPUTATIONS,
    seed: int = 0,
) -> ScoreEstimate:
    """Estimate the correlation by importance weights, with an interval for sampling and labels.

    Labels are imputed (0 or 1) from their probabilities. Each labelling gives the self-normalised
    weighted Pearson correlation and its linearised variance under the sampling design: with
    z = (x - weighted mean)/weighted sd, input i moves the score by
    z_a z_c - rho/2 (z_a^2 + z_c^2). The interval is that of `mixture_interval`, so that sampling
    and label doubt are carried once each.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron over all inputs.
    draw : Draw
        The sample, also a pooled one.
    labels : array-like, shape (n_draws,) or (n_posterior, n_draws)
        Probability of the concept in each sampled input; rows are posterior draws.
    level : float
        Nominal coverage of the interval.
    n_imputations : int
        Labellings to draw.
    seed : int
        Seed of the labellings.

    Returns
    -------
    ScoreEstimate
        The score is the mean over labellings; NaN with a warning when no labelling has both
        labels.

    Raises
    ------
    EstimationError
        When shapes do not match or values are out of range.
    SamplingError
        When the design has no weights.

    References
    ----------
    Hajek (1971) for the ratio estimator; Rubin (1987) for imputation; Owen, Monte Carlo theory,
    methods and examples, ch. 9, for self-normalised importance sampling.
    """
    check_level(level)
    scaled = _activation_of(activation, draw)[draw.indices]
    weights = draw.weights
    n_effective = effective_draws(weights)
    n_rated = int(draw.unique_indices.size)
    notes = weight_warnings(weights)
    imputed = impute_labels(labels, draw, n_imputations=n_imputations, seed=seed)
    defined = imputed.min(axis=1) < imputed.max(axis=1)
    if scaled.min() == scaled.max():
        notes.append("all sampled inputs have the same activation, so the sample has no score")
        defined[:] = False
    if not defined.any():
        if not notes or scaled.min() < scaled.max():
            notes.append(_constant_note(imputed))
        return undefined_score("importance_weighted", level, n_effective, n_rated, tuple(notes))
    if not defined.all():
        notes.append(
            f"in {1 - defined.mean():.0%} of the labellings the sample has only one label; "
            "they are left out, so the interval is too short: rate more inputs"
        )
    moments = weighted_pearson(scaled, imputed[defined], draw)
    return estimate_from_imputations(
        moments.scores,
        moments.variances,
        level=level,
        n_effective=n_effective,
        n_inputs_rated=n_rated,
        estimator="importance_weighted",
        warnings=notes,
    )


def weighted_pearson(scaled: FloatArray, labels: FloatArray, draw: Draw) -> WeightedMoments:
    """Compute self-normalised weighted Pearson correlations and their sampling variances.

    Parameters
    ----------
    scaled : ndarray, shape (n_draws,)
        Activations of the sampled inputs, not constant.
    labels : ndarray, shape (m, n_draws)
        Labellings, none constant.
    draw : Draw
        The sample.

    Returns
    -------
    WeightedMoments
    """
    relative = draw.weights / draw.weights.mean()
    z_a = scaled - np.mean(relative * scaled)
    z_a = z_a / np.sqrt(np.mean(relative * z_a**2))
    z_c = labels - np.mean(relative * labels, axis=1, keepdims=True)
    z_c = z_c / np.sqrt(np.mean(relative * z_c**2, axis=1, keepdims=True))
    # rounding can carry a perfect correlation past 1
    scores = np.clip(np.mean(relative * z_a * z_c, axis=1), -1.0, 1.0)
    influence = z_a * z_c - 0.5 * scores[:, None] * (z_a**2 + z_c**2)
    return WeightedMoments(scores, variance_of_mean(relative * influence, draw))


def variance_of_mean(values: FloatArray, draw: Draw) -> FloatArray:
    """Estimate the sampling variance of the mean of weighted values, see `design_variance`.

    It is taken within pooled draws and strata, as far as each has at least two inputs, and is
    smaller for draws without replacement.

    Parameters
    ----------
    values : ndarray, shape (..., n_draws)
        Weighted values whose mean over the draws is the estimate.
    draw : Draw
        The sample.

    Returns
    -------
    ndarray, shape (...), float64
        Infinite for a single draw, which says nothing of its variance.
    """
    return design_variance(values, draw)


def _activation_of(activation: ArrayLike, draw: Draw) -> FloatArray:
    scaled = standardized(activation)
    if scaled.size != draw.n_inputs:
        msg = (
            f"activation: {scaled.size} inputs, but the draw was made over {draw.n_inputs}; "
            "use the activations that the draw was made from"
        )
        raise EstimationError(msg)
    return scaled


def _constant_note(labels: FloatArray) -> str:
    value = float(labels.ravel()[0])
    what = {0.0: "no positives", 1.0: "no negatives"}.get(value, "constant labels")
    return f"{what} in the sample, so no correlation is defined; rate more inputs"
