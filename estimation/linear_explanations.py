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
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from estimation.checks import EstimationError, FloatArray, finite_vector, standardized
from estimation.correlation import importance_weighted_correlation, variance_of_mean
from estimation.imputation import DEFAULT_IMPUTATIONS, impute_labels
from estimation.model_correlation import (
    checked_rows,
    clipped_note,
    model_assisted_correlation,
)
from estimation.sampling import Draw
from estimation.score_estimate import (
    ScoreEstimate,
    check_level,
    effective_draws,
    estimate_from_imputations,
    undefined_score,
    weight_warnings,
)


@dataclass(frozen=True)
class _Settings:
    """Settings of an estimate, as every estimator takes them."""

    level: float
    n_imputations: int
    seed: int


@dataclass(frozen=True)
class _Part:
    """Estimates of one concept: covariance with the neuron, variance, and influences on both.

    `clipped` says of which labellings the estimated share of positives left (0, 1).
    """

    covariance: FloatArray
    variance: FloatArray
    clipped: NDArray[np.bool_]
    covariance_influence: FloatArray
    variance_influence: FloatArray
    draw: Draw


def linear_explanation_correlation(
    activation: ArrayLike,
    coefficients: ArrayLike,
    draws: Sequence[Draw],
    g: Sequence[ArrayLike],
    *,
    prediction: Sequence[ArrayLike] | None = None,
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
    prediction : sequence of array-like, each of shape (n_posterior, n_inputs), optional
        P(c_ij = 1 | parameters) before an input's own ratings. With it, moments are those of the
        model over all inputs corrected by the weighted sample, as in `model_assisted_correlation`;
        without it, those of the weighted sample alone.
    level : float
        Nominal coverage of the interval.
    n_imputations : int
        Labellings to draw.
    seed : int
        Seed of the labellings.

    Returns
    -------
    ScoreEstimate
        With one concept of positive coefficient the estimate of that concept alone (estimator
        "model_assisted" or "importance_weighted"). ``n_effective`` is the smallest of all concepts.

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
    b = b / np.abs(b).max()  # correlations do not depend on the scale, limits on variances do
    if prediction is not None and len(prediction) != b.size:
        msg = f"prediction: {len(prediction)} of them for {b.size} concepts; give one a concept"
        raise EstimationError(msg)
    settings = _Settings(level, n_imputations, seed)
    if b.size == 1 and b[0] > 0:
        return _single(activation, draws[0], g[0], prediction, settings)
    posteriors = [checked_rows(rows, scaled.size, f"g[{j}]") for j, rows in enumerate(g)]
    if len({rows.shape[0] for rows in posteriors}) > 1:
        msg = "g: concepts have different numbers of posterior draws; use the same draws for all"
        raise EstimationError(msg)
    predicted: list[FloatArray | None] = [None] * b.size
    if prediction is not None:
        predicted = [
            checked_rows(rows, scaled.size, f"prediction[{j}]") for j, rows in enumerate(prediction)
        ]
    weights = [draw.weights for draw in draws]
    n_effective = min(effective_draws(w) for w in weights)
    n_rated = sum(int(draw.unique_indices.size) for draw in draws)
    if prediction is None and (note := _same_activation(scaled, draws)):
        return undefined_score("linear", level, n_effective, n_rated, (note,))
    parts = [
        _part(scaled, draws[j], posteriors[j], predicted[j], settings, j) for j in range(b.size)
    ]
    cross = _cross_covariances(posteriors, n_imputations)
    numerator = sum(b[j] * part.covariance for j, part in enumerate(parts))
    variance = np.einsum("j,mjl,l->m", b, cross, b)
    variance += sum(b[j] ** 2 * part.variance for j, part in enumerate(parts))
    notes = [f"concept {j}: {note}" for j, w in enumerate(weights) for note in weight_warnings(w)]
    notes += [
        f"concept {j}: {clipped_note(float(part.clipped.mean()))}"
        for j, part in enumerate(parts)
        if b[j] and part.clipped.mean() > 0.05
    ]
    # the variance of a share that was moved back into (0, 1) is made up; with no other, so is all
    if np.mean(np.all([parts[j].clipped for j in np.flatnonzero(b)], axis=0)) > 0.5:
        return undefined_score("linear", level, n_effective, n_rated, tuple(notes))
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
    return estimate_from_imputations(
        scores,
        sampling,
        level=level,
        n_effective=n_effective,
        n_inputs_rated=n_rated,
        estimator="linear",
        warnings=notes,
    )


def _single(
    activation: ArrayLike,
    draw: Draw,
    g: ArrayLike,
    prediction: Sequence[ArrayLike] | None,
    settings: _Settings,
) -> ScoreEstimate:
    """Estimate the score of a single concept, which no coefficient above zero changes."""
    options: dict[str, Any] = asdict(settings)
    if prediction is not None:
        return model_assisted_correlation(activation, draw, g, prediction[0], **options)
    rows = checked_rows(g, draw.n_inputs, "g")
    return importance_weighted_correlation(activation, draw, rows[:, draw.indices], **options)


def _same_activation(scaled: FloatArray, draws: Sequence[Draw]) -> str:
    """Say which concept's sample has one activation only, and so no score; empty if none."""
    for j, draw in enumerate(draws):
        if draw.n_inputs != scaled.size:
            continue  # `_part` says so
        sampled = scaled[draw.indices]
        if sampled.min() == sampled.max():
            return (
                f"concept {j}: all sampled inputs have the same activation, so the sample has no "
                "score; rate more inputs"
            )
    return ""


def _part(
    scaled: FloatArray,
    draw: Draw,
    rows: FloatArray,
    predicted: FloatArray | None,
    settings: _Settings,
    number: int,
) -> _Part:
    """Moments of one concept and their influences, a row an imputed labelling."""
    if draw.n_inputs != scaled.size:
        msg = f"draws: made over {draw.n_inputs} inputs, but there are {scaled.size} activations"
        raise EstimationError(msg)
    m = settings.n_imputations
    labels = impute_labels(
        rows[:, draw.indices], draw, n_imputations=m, seed=settings.seed + number
    )
    # labels that are known for sure come as one row; repeated, so that concepts line up
    labels = labels[np.arange(m) * labels.shape[0] // m]
    relative = draw.weights / draw.weights.mean()
    sampled = scaled[draw.indices]
    # the row of the posterior that each labelling was drawn from
    used = np.arange(m) * rows.shape[0] // m
    if predicted is not None:
        if predicted.shape[0] != rows.shape[0]:
            msg = f"prediction: {predicted.shape[0]} posterior draws, but g has {rows.shape[0]}"
            raise EstimationError(msg)
        before = predicted[:, draw.indices][used]
        # moments by probabilities, sampling variance by labels: `model_assisted_correlation`
        moved = rows[:, draw.indices][used] - before
        mu = predicted.mean(axis=1)[used, None] + np.mean(relative * moved, axis=1, keepdims=True)
        inside = np.clip(mu, 0.5 / scaled.size, 1 - 0.5 / scaled.size)
        clipped = (inside != mu)[:, 0]
        mu = inside
        covariance = (predicted @ scaled)[used] / scaled.size
        covariance += np.mean(relative * sampled * moved, axis=1)
        residual = labels - before
        off = residual - np.mean(relative * residual, axis=1, keepdims=True)
        covariance_influence = sampled * residual
        covariance_influence -= np.mean(relative * covariance_influence, axis=1, keepdims=True)
    else:
        mu = np.mean(relative * labels, axis=1, keepdims=True)
        clipped = np.zeros(m, dtype=bool)
        off = labels - mu
        # divided by the weighted deviation of the activations, whose value over all inputs is 1:
        # that takes the sample's luck with large activations out
        a_off = sampled - np.mean(relative * sampled)
        a_variance = float(np.mean(relative * a_off**2))
        raw = np.mean(relative * a_off * off, axis=1)
        ratio = 1.0 / np.sqrt(a_variance)
        covariance = raw * ratio
        covariance_influence = ratio * (a_off * off - raw[:, None])
        covariance_influence -= 0.5 * ratio**3 * raw[:, None] * (a_off**2 - a_variance)
    return _Part(
        covariance,
        mu[:, 0] * (1 - mu[:, 0]),
        clipped,
        relative * covariance_influence,
        relative * (1 - 2 * mu) * off,
        draw,
    )


def _cross_covariances(posteriors: Sequence[FloatArray], n_imputations: int) -> FloatArray:
    """Covariances over inputs of the concepts' probabilities, zero on the diagonal.

    Returns
    -------
    ndarray, shape (n_imputations, n_concepts, n_concepts)
    """
    n_rows, n_inputs = posteriors[0].shape
    n_concepts = len(posteriors)
    cross = np.zeros((n_rows, n_concepts, n_concepts))
    for j in range(1, n_concepts):
        # the other factor need not be centred, so one copy of a concept's rows is held at a time
        off = posteriors[j] - posteriors[j].mean(axis=1, keepdims=True)
        for k in range(j):
            cross[:, j, k] = cross[:, k, j] = np.einsum("mi,mi->m", off, posteriors[k]) / n_inputs
    picked: FloatArray = cross[np.arange(n_imputations) * n_rows // n_imputations]
    return picked
