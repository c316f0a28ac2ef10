"""Correlation on top-and-random inputs: what is measured when only few inputs can be rated.

For every neuron, `n_each` of its active inputs and `n_each` random others are drawn without
replacement, and the correlation is computed on these inputs alone, unweighted, as is the practice
that this metric stands for. Sample weights decide how likely an input is to be drawn.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET
from neuron_eval.functional._order import midranks
from neuron_eval.functional.correlation import standardize
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
        activations,
        concepts,
        weights,
        binarization,
        n_each,
        seed,
        memory_budget,
        _values,
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
        activations, concepts, weights, binarization, n_each, seed, memory_budget, _ranks
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
    keys = np.random.default_rng(seed).exponential(size=(2, n_inputs))
    if weights is not None:
        keys /= weights.cpu().numpy()
    by_top, by_random = np.argsort(keys, axis=1)
    # 2 n_each candidates suffice: at most n_each of them can be taken already.
    candidates = by_random[: 2 * n_each]
    taken = np.zeros(n_inputs, dtype=bool)
    draws = []
    for marked in active.cpu().numpy():
        top = _first_members(marked, by_top, n_each)
        taken[top] = True
        others = candidates[~taken[candidates]][:n_each]
        taken[top] = False
        draws.append(torch.from_numpy(np.concatenate([top, others]) if len(top) else top))
    return draws


def _first_members(
    marked: npt.NDArray[np.bool_], order: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.int64]:
    """Return the first marked inputs of an order, looking no further than needed."""
    length = 32 * count
    while True:
        first = order[:length]
        found = first[marked[first]]
        if len(found) >= count or length >= len(order):
            return found[:count]
        length *= 8


def _top_and_random(
    activations: Any,
    concepts: Any,
    weights: Any,
    binarization: Binarization,
    n_each: int,
    seed: int,
    memory_budget: int,
    prepare: Callable[[Tensor], Tensor],
) -> Tensor:
    if n_each < 1:
        raise InputError(f"n_each: found {n_each!r}, expected a number of inputs of at least 1.")
    scored = _columns.check(activations, concepts, weights)
    scores = scored.empty_scores()

    def visit(neurons: slice, texts: slice, marked: Tensor, values: Tensor) -> None:
        draws = draw_top_and_random(marked, scored.weights, n_each, seed)
        by_length: dict[int, list[int]] = {}
        for row, drawn in enumerate(draws):
            by_length.setdefault(len(drawn), []).append(row)
        by_length.pop(0, None)  # never active: undefined
        for length, alike in by_length.items():
            width = _columns.piece_width(length * len(values), memory_budget, values.device)
            for chosen in _columns.spans(len(alike), width):
                rows = torch.tensor(alike[chosen], device=values.device)
                inputs = torch.stack([draws[row] for row in alike[chosen]]).to(values.device)
                scores[neurons.start + rows, texts] = _correlate(
                    scored.activations[inputs, neurons.start + rows[:, None]],
                    values.T[inputs].transpose(1, 2),
                    prepare,
                    memory_budget,
                )

    _columns.each_block(
        scored,
        memory_budget,
        _columns.active_sets(scored, binarization, memory_budget),
        _columns.AS_THEY_ARE,
        visit,
    )
    return scores


def _correlate(
    neurons: Tensor, concepts: Tensor, prepare: Callable[[Tensor], Tensor], memory_budget: int
) -> Tensor:
    """Correlate every neuron (n, k) with the concepts on its own inputs (n, m, k)."""
    n, m, k = concepts.shape
    left, right = (
        standardize(prepare(_columns.in_float(side.reshape(-1, k))), memory_budget)
        for side in (neurons, concepts)
    )
    return torch.bmm(right.view(n, m, k), left[:, :, None])[:, :, 0].clamp_(-1.0, 1.0)


def _values(rows: Tensor) -> Tensor:
    return rows


def _ranks(rows: Tensor) -> Tensor:
    return midranks(rows.contiguous(), None)
