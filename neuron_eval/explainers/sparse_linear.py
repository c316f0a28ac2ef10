"""Sparse linear explanations: a neuron as a weighted sum of a few concepts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import nnls
from torch import Tensor

from neuron_eval.explanations import Explanation, Term
from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET, Scored
from neuron_eval.validation import InputError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# A concept that correlates less with what is left of a neuron explains nothing of it: the terms
# before it fit the neuron exactly, or repeat the concept.
_NEGLIGIBLE_CORRELATION = 1e-6
# A standardized coefficient below this is rounding.
_NEGLIGIBLE = 1e-8
# Correlations that differ by less, relatively, are tied.
_TIED = 1e-12


def explain_sparse_linear(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    max_terms: int = 3,
    nonnegative: bool = False,
    memory_budget: int = MEMORY_BUDGET,
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
        Non-negative sample weights; a weight of 2 stands for the row twice.
    max_terms : int, default 3
        Most concepts per neuron, at least 1.
    nonnegative : bool, default False
        Allow no negative weights: only concepts that correlate positively with what is left are
        added, and weights are refitted by non-negative least squares. A concept whose weight
        becomes 0 is dropped again, so that there may be fewer terms.
    memory_budget : int, default 1 GiB
        Bytes for working copies, beside the matrices of products of concepts with concepts and
        with neurons.

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

    Notes
    -----
    Linear Explanations select by an elastic net along a path of penalties and keep the greatest
    weights; matching pursuit is in its place here because it needs no more of the data than
    those products, and no penalty to be tuned. Of equal correlations the first concept is added.

    References
    ----------
    Oikarinen, Weng, "Linear Explanations for Individual Neurons", ICML 2024, arXiv 2405.06855.
    Pati, Rezaiifar, Krishnaprasad, "Orthogonal matching pursuit", Asilomar 1993. Bruckstein,
    Elad, Zibulevsky, "On the uniqueness of nonnegative sparse solutions to underdetermined
    systems of equations", IEEE Trans. Information Theory 2008, for the non-negative pursuit.
    """
    if max_terms < 1:
        raise InputError(f"max_terms: found {max_terms!r}, expected at least 1.")
    if memory_budget <= 0:
        raise InputError(
            f"memory_budget: found {memory_budget!r}, expected a positive number of bytes."
        )
    scored = _columns.check(activations, concepts, weights)
    moments = _moments(scored, memory_budget)
    usable = np.flatnonzero(moments.concept_deviation > 0)
    live = np.flatnonzero(moments.neuron_deviation > 0)
    found: dict[int, _Fit] = {}
    n_terms = min(max_terms, len(usable))
    if n_terms and len(live):
        gram = moments.gram[np.ix_(usable, usable)]
        width = max(1, memory_budget // (8 * len(usable) * (n_terms + 4)))
        for start in range(0, len(live), width):
            block = live[start : start + width]
            fits = _pursue(gram, moments.products[np.ix_(usable, block)].T, n_terms, nonnegative)
            found |= dict(zip(block.tolist(), fits, strict=True))
    return [
        _explanation(unit, found.get(unit), usable, moments)
        for unit in range(scored.activations.shape[1])
    ]


@dataclass(frozen=True)
class _Moments:
    """Weighted means, standard deviations (0 of constants) and correlations."""

    neuron_mean: Floats
    neuron_deviation: Floats
    concept_mean: Floats
    concept_deviation: Floats
    gram: Floats  # correlations, (n_concepts, n_concepts)
    products: Floats  # correlations, (n_concepts, n_neurons)


@dataclass(frozen=True)
class _Fit:
    """Chosen concepts, their standardized coefficients, and the correlation of their sum."""

    chosen: Integers
    coefficients: Floats
    score: float


def _moments(scored: Scored, memory_budget: int) -> _Moments:
    """Take two passes over the inputs: means first, so that the products are of centred values."""
    sides = (scored.activations, scored.concepts)
    n_columns = sum(side.shape[1] for side in sides)
    height = max(1, memory_budget // (3 * 8 * n_columns))
    pieces = [slice(start, start + height) for start in range(0, scored.n_inputs, height)]
    share = torch.full((scored.n_inputs,), 1 / scored.total, dtype=torch.float64)
    share = share.to(scored.activations.device)
    if scored.weights is not None:
        share = share * scored.weights
    neuron_mean, concept_mean = (
        sum((share[piece] @ side[piece].to(torch.float64) for piece in pieces), share.new_zeros(1))
        for side in sides
    )
    gram, products, squares = (share.new_zeros(1) for _ in range(3))
    for piece in pieces:
        root = share[piece, None].sqrt()
        a = scored.activations[piece].to(torch.float64).sub(neuron_mean).mul_(root)
        c = scored.concepts[piece].to(torch.float64).sub(concept_mean).mul_(root)
        gram, products, squares = gram + c.T @ c, products + c.T @ a, squares + a.square().sum(0)
    neuron_deviation = _deviation(scored.activations, squares)
    concept_deviation = _deviation(scored.concepts, gram.diagonal())
    for_neurons, for_concepts = (
        torch.where(deviation > 0, deviation, 1.0)
        for deviation in (neuron_deviation, concept_deviation)
    )
    gram /= for_concepts[:, None] * for_concepts
    products /= for_concepts[:, None] * for_neurons
    arrays = (neuron_mean, neuron_deviation, concept_mean, concept_deviation, gram, products)
    return _Moments(*(array.cpu().numpy() for array in arrays))


def _deviation(matrix: Tensor, variance: Tensor) -> Tensor:
    constant = matrix.amax(dim=0) == matrix.amin(dim=0)
    return torch.where(constant, 0.0, variance.sqrt())


def _pursue(gram: Floats, products: Floats, n_terms: int, nonnegative: bool) -> list[_Fit]:
    """Pursue all neurons of a block together; `products` is (n_neurons, n_concepts)."""
    n_neurons = len(products)
    supports: list[list[int]] = [[] for _ in range(n_neurons)]
    coefficients = np.zeros_like(products)
    left = products.copy()
    active = np.arange(n_neurons)
    for _ in range(n_terms):
        gain = left[active] if nonnegative else np.abs(left[active])
        gain[coefficients[active] != 0] = 0
        best = gain.max(axis=1)
        picked = (gain >= best[:, None] * (1 - _TIED)).argmax(axis=1)
        useful = best > _NEGLIGIBLE_CORRELATION
        active, picked = active[useful], picked[useful]
        if not len(active):
            break
        for neuron, concept in zip(active.tolist(), picked.tolist(), strict=True):
            supports[neuron].append(concept)
        _refit(gram, products, supports, coefficients, active, nonnegative)
        left[active] = products[active] - _weighted_rows(gram, supports, coefficients, active)
    fits = []
    for neuron, support in enumerate(supports):
        chosen = np.array(support, dtype=np.int64)
        own = coefficients[neuron, chosen]
        order = np.lexsort((chosen, -np.abs(own)))
        chosen, own = chosen[order], own[order]
        chosen, own = chosen[np.abs(own) >= _NEGLIGIBLE], own[np.abs(own) >= _NEGLIGIBLE]
        variance = float(own @ gram[np.ix_(chosen, chosen)] @ own)
        score = float(own @ products[neuron, chosen]) / variance**0.5 if len(own) else np.nan
        fits.append(_Fit(chosen, own, score))
    return fits


def _refit(
    gram: Floats,
    products: Floats,
    supports: list[list[int]],
    coefficients: Floats,
    neurons: Integers,
    nonnegative: bool,
) -> None:
    """Fit the coefficients of the chosen concepts anew, in place."""
    for size in sorted({len(supports[neuron]) for neuron in neurons}):
        block = np.array([neuron for neuron in neurons if len(supports[neuron]) == size])
        chosen = np.array([supports[neuron] for neuron in block])
        systems = gram[chosen[:, :, None], chosen[:, None, :]]
        sides = np.take_along_axis(products[block], chosen, axis=1)
        if not nonnegative:
            coefficients[block[:, None], chosen] = np.linalg.solve(systems, sides[:, :, None])[
                ..., 0
            ]
            continue
        for neuron, concepts, system, side in zip(block, chosen, systems, sides, strict=True):
            # |sum - neuron|^2 is |L'b - L^-1 side|^2 and a constant, with the system L L'.
            root = np.linalg.cholesky(system)
            own, _ = nnls(root.T, np.linalg.solve(root, side))
            coefficients[neuron, concepts] = own
            supports[neuron] = concepts[own > 0].tolist()


def _weighted_rows(
    gram: Floats, supports: list[list[int]], coefficients: Floats, neurons: Integers
) -> Floats:
    """Return the correlations of every concept with the sums that have been fitted."""
    rows = np.empty((len(neurons), len(gram)))
    for place, neuron in enumerate(neurons):
        chosen = supports[neuron]
        rows[place] = coefficients[neuron, chosen] @ gram[chosen]
    return rows


def _explanation(unit: int, fit: _Fit | None, usable: Integers, moments: _Moments) -> Explanation:
    if fit is None or not len(fit.chosen):
        return Explanation(unit, (), float(moments.neuron_mean[unit]))
    concepts = usable[fit.chosen]
    slopes = fit.coefficients * moments.neuron_deviation[unit] / moments.concept_deviation[concepts]
    bias = moments.neuron_mean[unit] - slopes @ moments.concept_mean[concepts]
    terms = tuple(
        Term(concept, slope)
        for concept, slope in zip(concepts.tolist(), slopes.tolist(), strict=True)
    )
    return Explanation(unit, terms, float(bias), fit.score)
