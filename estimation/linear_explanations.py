"""Scores of linear explanations: a weighted sum of concepts against one neuron.

The target is y = sum_j b_j c_j, so

    rho(a, y) = sum_j b_j Cov(a, c_j) / sqrt(sum_jl b_j b_l Cov(c_j, c_l)).

Inputs are drawn for every (neuron, concept) pair on its own. Cov(a, c_j) and Var(c_j) come from
the sample of pair j. Cov(c_j, c_l) needs both labels of one input, which separate samples seldom
hold, so it comes from the model: given the parameters, labels of different concepts are taken as
independent, hence Cov(c_j, c_l) = Cov over inputs of (g_j, g_l). What two concepts share beyond
what their priors and ratings show is therefore missed; with priors that tell little, cross terms
are too small in absolute value.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from estimation.checks import EstimationError, FloatArray, finite_vector, standardized
from estimation.correlation import importance_weighted_correlation, variance_of_mean
from estimation.imputation import DEFAULT_IMPUTATIONS, impute_labels
from estimation.model_correlation import checked_rows
from estimation.sampling import Draw
from estimation.score_estimate import (
    ScoreEstimate,
    check_level,
    effective_draws,
    mixture_interval,
    undefined_score,
    weight_warnings,
)


@dataclass(frozen=True)
class _Part:
    """Estimates of one concept: covariance with the neuron, variance, and influences on both."""

    covariance: FloatArray
    variance: FloatArray
    covariance_influence: FloatArray
    variance_influence: FloatArray
    draw: Draw


def linear_explanation_correlation(
    activation: ArrayLike,
    coefficients: ArrayLike,
    draws: Sequence[Draw],
    g: Sequence[ArrayLike],
    *,
    level: float = 0.95,
    n_imputations: int = DEFAULT_IMPUTATIONS,
    seed: int = 0,
) -> ScoreEstimate:
    """Estimate the correlation of a neuron with a weighted sum of concepts.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    coefficients : array-like, shape (n_concepts,)
        Coefficients b_j of the explanation; not all zero.
    draws : sequence of Draw, length n_concepts
        Sample of each (neuron, concept) pair.
    g : sequence of array-like, each of shape (n_posterior, n_inputs)
        P(c_ij = 1 | parameters, ratings) of each concept, rows being the same posterior draws.
    level : float
        Nominal coverage of the interval.
    n_imputations : int
        Labellings to draw.
    seed : int
        Seed of the labellings.

    Returns
    -------
    ScoreEstimate
        With one concept of positive coefficient the importance-weighted estimate itself.
        ``n_effective`` is the smallest over the concepts.

    Raises
    ------
    EstimationError
        When lengths or shapes do not match, or all coefficients are zero.
    SamplingError
        When a design has no weights.
    """
    check_level(level)
    scaled = standardized(activation)
    b = finite_vector(coefficients, "coefficients")
    if not (b.size == len(draws) == len(g)):
        msg = (
            f"coefficients: {b.size} of them, with {len(draws)} draws and {len(g)} posteriors; "
            "give one of each a concept"
        )
        raise EstimationError(msg)
    if not np.any(b):
        msg = "coefficients: all zero, so the explanation is constant; leave it out of the study"
        raise EstimationError(msg)
    if b.size == 1 and b[0] > 0:
        rows = checked_rows(g[0], scaled.size, "g")
        return importance_weighted_correlation(
            activation,
            draws[0],
            rows[:, draws[0].indices],
            level=level,
            n_imputations=n_imputations,
            seed=seed,
        )
    posteriors = [checked_rows(rows, scaled.size, f"g[{j}]") for j, rows in enumerate(g)]
    if len({rows.shape[0] for rows in posteriors}) > 1:
        msg = "g: concepts have different numbers of posterior draws; use the same draws for all"
        raise EstimationError(msg)
    parts = [
        _part(scaled, draw, rows, n_imputations=n_imputations, seed=seed + j)
        for j, (draw, rows) in enumerate(zip(draws, posteriors, strict=True))
    ]
    cross = _cross_covariances(posteriors, n_imputations)
    numerator = sum(b[j] * part.covariance for j, part in enumerate(parts))
    variance = np.einsum("j,mjl,l->m", b, cross, b)
    variance += sum(b[j] ** 2 * part.variance for j, part in enumerate(parts))
    weights = [draw.weights for draw in draws]
    n_effective = min(effective_draws(w) for w in weights)
    n_rated = sum(int(draw.unique_indices.size) for draw in draws)
    notes = [f"concept {j}: {note}" for j, w in enumerate(weights) for note in weight_warnings(w)]
    usable = variance > 1e-12
    if not usable.any():
        notes.append("the estimated variance of the explanation is zero; rate more inputs")
        return undefined_score("linear", level, n_effective, n_rated, tuple(notes))
    if not usable.all():
        notes.append(
            f"in {1 - usable.mean():.0%} of the labellings the explanation is constant; left out"
        )
    sd = np.sqrt(variance[usable])
    scores = np.clip(np.asarray(numerator)[usable] / sd, -1.0, 1.0)
    sampling = np.zeros(scores.size)
    for j, part in enumerate(parts):
        # d rho / d Cov(a, c_j) = b_j / sd;  d rho / d Var(c_j) = - rho b_j^2 / (2 sd^2)
        influence = (b[j] / sd)[:, None] * part.covariance_influence[usable]
        influence -= (0.5 * scores * b[j] ** 2 / sd**2)[:, None] * part.variance_influence[usable]
        sampling += variance_of_mean(influence, part.draw)
    lower, upper = mixture_interval(
        scores, sampling, level=level, degrees_of_freedom=max(n_effective - 2, 1.0)
    )
    return ScoreEstimate(
        float(scores.mean()),
        lower,
        upper,
        level,
        float(np.sqrt(sampling.mean() + scores.var())),
        n_effective,
        n_rated,
        "linear",
        tuple(notes),
    )


def _part(
    scaled: FloatArray, draw: Draw, rows: FloatArray, *, n_imputations: int, seed: int
) -> _Part:
    """Self-normalised moments of one concept's sample, a row an imputed labelling."""
    if draw.n_inputs != scaled.size:
        msg = f"draws: made over {draw.n_inputs} inputs, but there are {scaled.size} activations"
        raise EstimationError(msg)
    # an all-but-certain posterior still gives n_imputations rows, so that concepts line up
    labels = impute_labels(rows[:, draw.indices], draw, n_imputations=n_imputations, seed=seed)
    labels = labels[np.arange(n_imputations) * labels.shape[0] // n_imputations]
    relative = draw.weights / draw.weights.mean()
    sampled = scaled[draw.indices]
    mu = np.mean(relative * labels, axis=1, keepdims=True)
    off = labels - mu
    # scaled has mean 0 and variance 1 over all inputs; the weighted mean of the sample is used to
    # centre it as well, which takes the sample's luck with activations out
    a_off = sampled - np.mean(relative * sampled)
    covariance = np.mean(relative * a_off * off, axis=1)
    variance = mu[:, 0] * (1 - mu[:, 0])
    # divided by the weighted variance of the activations, whose value over all inputs is known
    a_variance = np.mean(relative * a_off**2)
    ratio = 1.0 / np.sqrt(a_variance)
    covariance_influence = ratio * (
        a_off * off - covariance[:, None]
    ) - 0.5 * ratio**3 * covariance[:, None] * (a_off**2 - a_variance)
    variance_influence = (1 - 2 * mu) * off
    return _Part(
        covariance * ratio,
        variance,
        relative * covariance_influence,
        relative * variance_influence,
        draw,
    )


def _cross_covariances(posteriors: Sequence[FloatArray], n_imputations: int) -> FloatArray:
    """Covariances over inputs of the concepts' probabilities, zero on the diagonal.

    Returns
    -------
    ndarray, shape (n_imputations, n_concepts, n_concepts)
    """
    n_rows, n_inputs = posteriors[0].shape
    off = [rows - rows.mean(axis=1, keepdims=True) for rows in posteriors]
    cross = np.zeros((n_rows, len(off), len(off)))
    for j in range(len(off)):
        for k in range(j):
            cross[:, j, k] = cross[:, k, j] = np.einsum("mi,mi->m", off[j], off[k]) / n_inputs
    picked: FloatArray = cross[np.arange(n_imputations) * n_rows // n_imputations]
    return picked
