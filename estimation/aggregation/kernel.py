"""The log density of the hierarchical model in one pass over the items, compiled by numba.

Only `estimation.aggregation.density` calls it, and imports it when a model is fitted: numba takes a
second to import. The compiled code is cached on disk.
"""

import math
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def likelihood(
    features: Any,
    concept: Any,
    starts: Any,
    columns: Any,
    weights: Any,
    known: Any,
    coefficients: Any,
    rates: Any,
) -> Any:
    """Compute the log likelihood and its gradients.

    Parameters
    ----------
    features : ndarray, shape (n_items, n_features)
    concept : ndarray, shape (n_items,)
    starts, columns, weights : ndarray
        Rows of the sparse matrix of answers: index pointer, column, weight.
    known : ndarray, shape (n_items,)
        Label of a gold item, negative where it is unknown.
    coefficients : ndarray, shape (n_features, n_concepts)
    rates : ndarray, shape (2, n_raters)
        Logits of miss and false-alarm rates.

    Returns
    -------
    value : float
    g_coefficients : ndarray, shape (n_features, n_concepts)
    g_rates : ndarray, shape (2, n_raters)
    """
    n_features, n_raters = features.shape[1], rates.shape[1]
    rate = np.empty((2, n_raters))
    if_present = np.empty(2 * n_raters)  # log P(answer | present), then of "absent"
    if_absent = np.empty(2 * n_raters)
    for j in range(n_raters):
        for kind in range(2):
            x = rates[kind, j]
            small = math.exp(-abs(x))
            plus = max(x, 0.0) + math.log1p(small)
            rate[kind, j] = (1.0 if x >= 0 else small) / (1.0 + small)
            if kind == 0:
                if_present[j], if_present[n_raters + j] = -plus, x - plus
            else:
                if_absent[n_raters + j], if_absent[j] = -plus, x - plus
    g_coefficients = np.zeros_like(coefficients)
    g_rates = np.zeros_like(rates)
    value = 0.0
    ratio = 1.0
    for i in range(features.shape[0]):
        t = concept[i]
        z = 0.0
        for p in range(n_features):
            z += features[i, p] * coefficients[p, t]
        evidence = 0.0
        for k in range(starts[i], starts[i + 1]):
            value += weights[k] * if_absent[columns[k]]
            evidence += weights[k] * (if_present[columns[k]] - if_absent[columns[k]])
        small = math.exp(-abs(z))
        ratio /= 1.0 + small
        value -= max(z, 0.0)
        prior = (1.0 if z >= 0 else small) / (1.0 + small)
        z += evidence
        if known[i] < 0:
            small = math.exp(-abs(z))
            ratio *= 1.0 + small
            value += max(z, 0.0)
            posterior = (1.0 if z >= 0 else small) / (1.0 + small)
        else:
            posterior = float(known[i])
            value += posterior * z
        # every factor lies in [1/2, 2], so 512 of them fit a float64 and cost one logarithm
        if i % 512 == 511:
            value += math.log(ratio)
            ratio = 1.0
        for p in range(n_features):
            g_coefficients[p, t] += (posterior - prior) * features[i, p]
        for k in range(starts[i], starts[i + 1]):
            if columns[k] < n_raters:
                j = columns[k]
                g_rates[0, j] -= weights[k] * posterior * rate[0, j]
                g_rates[1, j] += weights[k] * (1.0 - posterior) * (1.0 - rate[1, j])
            else:
                j = columns[k] - n_raters
                g_rates[0, j] += weights[k] * posterior * (1.0 - rate[0, j])
                g_rates[1, j] -= weights[k] * (1.0 - posterior) * rate[1, j]
    return value + math.log(ratio), g_coefficients, g_rates


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def log_density(theta: Any, centre: Any, scale: Any, df: float, n_concepts: int, data: Any) -> Any:
    """Compute the log posterior density, up to a constant, and its gradient.

    Parameters
    ----------
    theta : ndarray
        Means, log spreads, concepts' deviations, raters' deviations; see `LogDensity`.
    centre, scale : ndarray, shape (2 (n_features + 2),)
        Normal priors of means and log spreads.
    df : float
        Degrees of freedom of the concepts' deviations.
    n_concepts : int
    data : tuple of ndarray
        The first six arguments of `likelihood`.

    Returns
    -------
    value : float
    gradient : ndarray
    """
    features, concept, starts, columns, weights, known = data
    p = features.shape[1]
    q = p + 2
    n_raters = (theta.size - 2 * q - p * n_concepts) // 2
    deviations = theta[2 * q : 2 * q + p * n_concepts].copy().reshape(p, n_concepts)
    raters = theta[2 * q + p * n_concepts :].copy().reshape(2, n_raters)
    spreads = np.exp(theta[q : 2 * q])
    coefficients = np.empty_like(deviations)
    rates = np.empty_like(raters)
    for k in range(p):
        coefficients[k] = theta[k] + spreads[k] * deviations[k]
    for k in range(2):
        rates[k] = theta[p + k] + spreads[p + k] * raters[k]
    value, g_coefficients, g_rates = likelihood(
        features, concept, starts, columns, weights, known, coefficients, rates
    )
    gradient = np.zeros_like(theta)
    for k in range(2 * q):
        off = (theta[k] - centre[k]) / scale[k]
        value -= 0.5 * off * off
        gradient[k] -= off / scale[k]
    place = 2 * q
    for k in range(p):
        for t in range(n_concepts):
            z = deviations[k, t]
            tail = 1.0 + z * z / df
            value -= 0.5 * (df + 1.0) * math.log(tail)
            gradient[k] += g_coefficients[k, t]
            gradient[q + k] += spreads[k] * g_coefficients[k, t] * z
            gradient[place] = spreads[k] * g_coefficients[k, t] - (df + 1.0) / df * z / tail
            place += 1
    for k in range(2):
        for j in range(n_raters):
            z = raters[k, j]
            value -= 0.5 * z * z
            gradient[p + k] += g_rates[k, j]
            gradient[q + p + k] += spreads[p + k] * g_rates[k, j] * z
            gradient[place] = spreads[p + k] * g_rates[k, j] - z
            place += 1
    return value, gradient
