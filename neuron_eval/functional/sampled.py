"""Correlation on top-and-random inputs: what is measured when only few inputs can be rated.

For every neuron, `n_each` of its active inputs and `n_each` random others are drawn without
replacement, and the correlation is computed on these inputs alone, unweighted, as is the practice
that this metric stands for. Sample weights decide how likely an input is to be drawn.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET
from neuron_eval.functional._order import midranks
from neuron_eval.functional.correlation import product, standardize
from neuron_eval.validation import InputError


def pearson_correlation_top_and_random(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    n_each: int = 25,
    seed: int = 0,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the Pearson correlation on top-and-random inputs.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights; a weight of 2 stands for the row twice.
    binarization : Binarization, default TopFraction(0.05)
        How activations become active or not.
    n_each : int, default 25
        How many of the active inputs and how many random ones are drawn per neuron; at least 1.
    seed : int, default 0
        Seed of the draws.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [-1, 1]; NaN where undefined:
        the neuron is never active, or a side is constant on the drawn inputs.

    Raises
    ------
    InputError
        If an input is invalid.

    Notes
    -----
    The score is a random draw and differs between seeds; it is here because the practice is
    common, not because it is good: it fails the sanity checks.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774.
    """
    return _top_and_random(
        activations, concepts, weights, binarization, n_each, seed, memory_budget, _pearson
    )


def spearman_correlation_top_and_random(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    n_each: int = 25,
    seed: int = 0,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the Spearman correlation on top-and-random inputs.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights; a weight of 2 stands for the row twice.
    binarization : Binarization, default TopFraction(0.05)
        How activations become active or not.
    n_each : int, default 25
        How many of the active inputs and how many random ones are drawn per neuron; at least 1.
    seed : int, default 0
        Seed of the draws.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [-1, 1]; NaN where undefined:
        the neuron is never active, or a side is constant on the drawn inputs.

    Raises
    ------
    InputError
        If an input is invalid.

    Notes
    -----
    The score is a random draw and differs between seeds; it is here because the practice is
    common, not because it is good: it fails the sanity checks.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774.
    """
    return _top_and_random(
        activations, concepts, weights, binarization, n_each, seed, memory_budget, _spearman
    )


def draw_top_and_random(
    active: Tensor, weights: Tensor | None, n_each: int, seed: int
) -> list[Tensor]:
    """Draw inputs for every neuron.

    Every input has one exponential key per kind of draw, divided by its weight; the smallest
    keys are drawn. The keys depend on the seed and the input only, so a neuron's draw does not
    depend on which other neurons are scored with it.

    Parameters
    ----------
    active : Tensor, shape (n_neurons, n_inputs), bool
        Where the neurons are active.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights.
    n_each : int
        Draws of either kind; fewer where fewer inputs are left.
    seed : int
        Seed of the keys.

    Returns
    -------
    list of Tensor, int64
        Positions of the drawn inputs of each neuron, active ones first; empty for a neuron that
        is never active.

    References
    ----------
    Efraimidis, Spirakis, "Weighted random sampling with a reservoir", 2006.
    """
    n_inputs = active.shape[1]
    keys = torch.from_numpy(np.random.default_rng(seed).exponential(size=(2, n_inputs)))
    keys = keys.to(active.device)
    if weights is not None:
        keys = keys / weights
    by_top, by_random = keys.argsort(dim=1)
    draws = []
    for marked in active:
        top = by_top[marked[by_top]][:n_each]
        taken = torch.zeros_like(marked)
        taken[top] = True
        # 2 n_each candidates suffice: at most n_each of them can be taken already.
        candidates = by_random[: 2 * n_each]
        others = candidates[~taken[candidates]][:n_each]
        draws.append(torch.cat([top, others]) if len(top) else top)
    return draws


def _top_and_random(
    activations: Any,
    concepts: Any,
    weights: Any,
    binarization: Binarization,
    n_each: int,
    seed: int,
    memory_budget: int,
    correlate: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    if n_each < 1:
        raise InputError(f"n_each: found {n_each!r}, expected a number of inputs of at least 1.")
    scored = _columns.check(activations, concepts, weights)
    binarize = _columns.binarizer(scored, binarization)
    scores = scored.empty_scores()
    for neurons, rows in _columns.rows_of(scored.activations, memory_budget):
        draws = draw_top_and_random(binarize(rows), scored.weights, n_each, seed)
        for neuron, row, drawn in zip(range(neurons.start, neurons.stop), rows, draws, strict=True):
            if len(drawn):
                values = scored.concepts[drawn].T.to(torch.float64).contiguous()
                scores[neuron] = correlate(row[drawn][None, :].to(torch.float64), values)[0]
    return scores


def _pearson(neuron: Tensor, concepts: Tensor) -> Tensor:
    return product(standardize(neuron, None), standardize(concepts, None))


def _spearman(neuron: Tensor, concepts: Tensor) -> Tensor:
    return _pearson(midranks(neuron, None), midranks(concepts, None))
