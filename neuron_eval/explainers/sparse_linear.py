"""Sparse linear explanations: a neuron as a weighted sum of a few concepts."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import orthogonal_mp_gram

from neuron_eval.explanations import Explanation, Term
from neuron_eval.validation import InputError, check_activations, check_concepts, check_weights

# A standardized coefficient below this is rounding: the terms before it fit the neuron exactly.
_NEGLIGIBLE = 1e-8


def explain_sparse_linear(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    max_terms: int = 3,
) -> list[Explanation]:
    """Explain every neuron by a least-squares sum of a few concepts, selected one by one.

    Orthogonal matching pursuit on standardized concepts: the concept that correlates most with
    what is left of the neuron is added, and all weights are refitted, until there are
    `max_terms`.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights.
    max_terms : int, default 3
        Most concepts per neuron, at least 1.

    Returns
    -------
    list of Explanation
        One per neuron: terms by decreasing contribution (weight times the concept's standard
        deviation), bias and, as score, the correlation of the sum with the activations. A
        constant neuron has a bias and nothing else.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Weng, "Linear Explanations for Individual Neurons", ICML 2024, arXiv 2405.06855.
    Pati, Rezaiifar, Krishnaprasad, "Orthogonal matching pursuit", Asilomar 1993.
    """
    if max_terms < 1:
        raise InputError(f"max_terms: found {max_terms!r}, expected at least 1.")
    a = check_activations(activations).cpu().numpy()
    c = check_concepts(concepts, n_inputs=len(a)).cpu().numpy()
    mass = np.ones(len(a)) if weights is None else check_weights(weights, n_inputs=len(a)).numpy()
    mass = mass / mass.sum()
    a_scaled, a_mean, a_deviation = _standardize(a, mass)
    c_scaled, c_mean, c_deviation = _standardize(c, mass)
    usable = np.flatnonzero(c_deviation > 0)
    live = np.flatnonzero(a_deviation > 0)
    coefficients = np.zeros((c.shape[1], a.shape[1]))
    if usable.size and live.size:
        coefficients[np.ix_(usable, live)] = _pursue(
            c_scaled[:, usable], a_scaled[:, live], min(max_terms, usable.size)
        )
    coefficients[np.abs(coefficients) < _NEGLIGIBLE] = 0
    explanations = []
    for unit, column in enumerate(coefficients.T):
        chosen = sorted(np.flatnonzero(column), key=lambda j: -abs(column[j]))
        slopes = {int(j): float(column[j] * a_deviation[unit] / c_deviation[j]) for j in chosen}
        bias = float(a_mean[unit] - sum(slope * c_mean[j] for j, slope in slopes.items()))
        fitted = c_scaled[:, chosen] @ column[chosen]
        length = float(np.linalg.norm(fitted))
        score = float(fitted @ a_scaled[:, unit]) / length if chosen else None
        terms = tuple(Term(j, slope) for j, slope in slopes.items())
        explanations.append(Explanation(unit, terms, bias, score))
    return explanations


def _standardize(
    matrix: npt.NDArray[np.float64], mass: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return columns of mean 0 and unit length under the weights, their means and deviations."""
    present = matrix[mass > 0]
    constant = present.min(axis=0) == present.max(axis=0)
    mean = mass @ matrix
    centred = (matrix - mean) * np.sqrt(mass)[:, None]
    deviation = np.where(constant, 0.0, np.linalg.norm(centred, axis=0))
    return centred / np.where(deviation > 0, deviation, 1.0), mean, deviation


def _pursue(
    c: npt.NDArray[np.float64], a: npt.NDArray[np.float64], n_terms: int
) -> npt.NDArray[np.float64]:
    with warnings.catch_warnings():
        # Ends early where the remaining concepts repeat the chosen ones: nothing is lost by it.
        warnings.filterwarnings("ignore", message="\\s*Orthogonal matching pursuit ended prem")
        found: npt.NDArray[np.float64] = orthogonal_mp_gram(
            c.T @ c, c.T @ a, n_nonzero_coefs=n_terms
        )
    return found.reshape(c.shape[1], a.shape[1])
