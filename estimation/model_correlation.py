"""Pearson correlation of a neuron with a concept from a model of every input's label.

`posterior_correlation` believes the model for unrated inputs. `model_assisted_correlation` uses it
only to remove variance: the sample corrects it by importance weights.
"""

import numpy as np
from numpy.typing import ArrayLike

from estimation.checks import EstimationError, FloatArray, numbers, standardized
from estimation.correlation import variance_of_mean
from estimation.imputation import DEFAULT_IMPUTATIONS, impute_labels
from estimation.label_totals import CHUNK, LabelTotals
from estimation.sampling import Draw, correlation_influence
from estimation.score_estimate import (
    ScoreEstimate,
    check_level,
    effective_draws,
    estimate_from_imputations,
    undefined_score,
    weight_warnings,
)


def posterior_correlation(
    activation: ArrayLike,
    g: ArrayLike,
    *,
    n_inputs_rated: int = 0,
    level: float = 0.95,
    n_totals: int = 10,
    seed: int = 0,
) -> ScoreEstimate:
    """Estimate the correlation from posterior draws of every input's label probability.

    Given one draw of the parameters labels are independent, so T1 = sum c and T2 = sum a c are
    nearly normal with means sum g and sum a g and covariance from v = g (1 - g). The posterior of
    rho = (T2/N) / sqrt(mu (1 - mu)), mu = T1/N, follows by drawing both.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    g : array-like, shape (n_posterior, n_inputs)
        P(c_i = 1 | parameters, ratings) for every input, rated or not, a row a posterior draw.
    n_inputs_rated : int
        Distinct inputs that were rated, for the record.
    level : float
        Nominal coverage of the interval.
    n_totals : int
        Draws of (T1, T2) for each row of `g`.
    seed : int
        Seed of those draws.

    Returns
    -------
    ScoreEstimate
        Posterior median and equal-tailed interval.

    Raises
    ------
    EstimationError
        When shapes do not match or values are out of range.
    """
    check_level(level)
    scaled = standardized(activation)
    rows = checked_rows(g, scaled.size, "g")
    n = scaled.size
    totals = LabelTotals.zeros(rows.shape[0], n)
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        totals.add(rows[:, part].T, scaled[part])
    mu, t2 = totals.draw_means(n_totals, np.random.default_rng(seed))
    scores, clipped = correlation_from_totals(mu, t2, n)
    lower, median, upper = np.quantile(scores, [(1 - level) / 2, 0.5, (1 + level) / 2])
    notes = []
    if clipped > 0.05:
        notes.append(clipped_note(clipped))
    return ScoreEstimate(
        float(median),
        float(lower),
        float(upper),
        level,
        float(scores.std()),
        float(n),
        n_inputs_rated,
        "posterior",
        tuple(notes),
    )


def model_assisted_correlation(
    activation: ArrayLike,
    draw: Draw,
    g: ArrayLike,
    prediction: ArrayLike,
    *,
    level: float = 0.95,
    n_imputations: int = DEFAULT_IMPUTATIONS,
    seed: int = 0,
) -> ScoreEstimate:
    """Estimate the correlation by the model over all inputs, corrected by the weighted sample.

    The difference estimator: with p the model's prediction before an input's own ratings and c the
    labels of the sample, mean c is estimated by mean p over all inputs plus the importance-weighted
    mean of c - p, mean a c likewise; rho = T2 / sqrt(mu (1 - mu)). A wrong model costs variance and
    leaves no bias; a good one makes residuals, and with them the interval, small.

    Each posterior draw gives a score, with the probabilities `g` for c; spread between them is
    doubt about raters and calibration. The sampling variance is that of f_i (c_i - p_i), f the
    influence of a label on rho, for labels c imputed from `g`: that counts the doubt about labels,
    once. Were the label model right, the variance of f_i (g_i - p_i) would do, because ratings move
    g from p by as much as they tell; it is not always: on the digits such intervals covered 85%,
    these 93% (``benchmarks/interval_coverage.py``; docs/estimates.md has the figures).

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    draw : Draw
        The sample, also a pooled one.
    g : array-like, shape (n_posterior, n_inputs)
        P(c_i = 1 | parameters, ratings).
    prediction : array-like, shape (n_posterior, n_inputs)
        P(c_i = 1 | parameters) before the input's own ratings, rows matching `g`.
    level : float
        Nominal coverage of the interval.
    n_imputations : int
        Labellings to draw, for the sampling variance.
    seed : int
        Seed of the labellings.

    Returns
    -------
    ScoreEstimate

    Raises
    ------
    EstimationError
        When shapes do not match or values are out of range.
    SamplingError
        When the design has no weights.

    References
    ----------
    Sarndal, Swensson, Wretman, Model Assisted Survey Sampling (1992), ch. 6; Angelopoulos et al.,
    Prediction-powered inference (2023).
    """
    check_level(level)
    scaled = standardized(activation)
    n = scaled.size
    if draw.n_inputs != n:
        msg = f"activation: {n} inputs, but the draw was made over {draw.n_inputs}"
        raise EstimationError(msg)
    rows = checked_rows(g, n, "g")
    predicted = checked_rows(prediction, n, "prediction")
    if rows.shape != predicted.shape:
        msg = f"prediction: shape {predicted.shape} differs from that of g, {rows.shape}"
        raise EstimationError(msg)
    weights = draw.weights
    relative = weights / weights.mean()
    imputed = impute_labels(rows[:, draw.indices], draw, n_imputations=n_imputations, seed=seed)
    used = np.arange(imputed.shape[0]) * rows.shape[0] // imputed.shape[0]
    sampled = scaled[draw.indices]
    before = predicted[:, draw.indices][used]
    moved = rows[:, draw.indices][used] - before
    mu = predicted.mean(axis=1)[used] + np.mean(relative * moved, axis=1)
    t2 = (predicted @ scaled)[used] / n + np.mean(relative * sampled * moved, axis=1)
    scores, clipped = correlation_from_totals(mu, t2, n)
    n_effective = effective_draws(weights)
    n_rated = int(draw.unique_indices.size)
    notes = weight_warnings(weights)
    if clipped > 0.05:
        notes.append(clipped_note(clipped))
    if clipped > 0.5:
        return undefined_score("model_assisted", level, n_effective, n_rated, tuple(notes))
    safe_mu = np.clip(mu, 0.5 / n, 1 - 0.5 / n)
    influence = np.stack(
        [
            correlation_influence(sampled, float(m), float(t))
            for m, t in zip(safe_mu, t2, strict=True)
        ]
    )
    contribution = influence * (imputed - before)
    contribution -= np.mean(relative * contribution, axis=1, keepdims=True)
    variances = variance_of_mean(relative * contribution, draw)
    return estimate_from_imputations(
        scores,
        variances,
        level=level,
        n_effective=n_effective,
        n_inputs_rated=n_rated,
        estimator="model_assisted",
        warnings=notes,
    )


def correlation_from_totals(mu: FloatArray, t2: FloatArray, n: int) -> tuple[FloatArray, float]:
    """Compute rho = t2 / sqrt(mu (1 - mu)), with mu kept half an input away from 0 and 1.

    Parameters
    ----------
    mu, t2 : ndarray
        Mean label, and mean of standardised activation times label.
    n : int
        Number of inputs.

    Returns
    -------
    scores : ndarray
        In [-1, 1].
    clipped : float
        Share of `mu` that had to be moved.
    """
    safe = np.clip(mu, 0.5 / n, 1 - 0.5 / n)
    scores: FloatArray = np.clip(t2 / np.sqrt(safe * (1 - safe)), -1.0, 1.0)
    return scores, float(np.mean(safe != mu))


def checked_rows(values: ArrayLike, n_inputs: int, name: str) -> FloatArray:
    """Check probabilities of all inputs, a row a posterior draw.

    Parameters
    ----------
    values : array-like, shape (n_posterior, n_inputs)
        Probabilities.
    n_inputs : int
        Size N of the probe dataset.
    name : str
        What they are called in messages.

    Returns
    -------
    ndarray, shape (n_posterior, n_inputs), float64

    Raises
    ------
    EstimationError
        When the shape is another or a value is no probability.
    """
    rows = np.atleast_2d(numbers(values, name))
    if rows.ndim != 2 or rows.shape[0] == 0 or rows.shape[1] != n_inputs:
        msg = f"{name}: shape {np.shape(values)}, expected (n_posterior, {n_inputs})"
        raise EstimationError(msg)
    # of NaN both are false; and no array of the size of `rows` is made
    if not (rows.min() >= 0 and rows.max() <= 1):
        msg = f"{name}: holds values that are no probabilities (NaN, or outside [0, 1])"
        raise EstimationError(msg)
    return rows


def clipped_note(share: float) -> str:
    """Say in what share of the draws the estimated share of positives left (0, 1)."""
    return (
        f"in {share:.0%} of the draws the estimated share of positives left (0, 1): the concept is "
        "too rare for this sample; rate more inputs"
    )
