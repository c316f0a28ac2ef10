"""Average precision (AUPRC), both ways round.

The step sum over distinct thresholds, as in scikit-learn: with the inputs in decreasing order of
the score, groups of equal scores together, AP = sum over groups of (recall gained) x precision.
"""

from typing import Any

import torch
from torch import Tensor

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET
from neuron_eval.functional._order import ascending, tie_groups


def auprc(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the average precision of the concept's values in finding the active inputs.

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
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [0, 1]; NaN where undefined:
        the neuron is never active.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774.
    """
    scored = _columns.check(activations, concepts, weights)
    return _columns.fill(
        scored,
        memory_budget,
        _columns.active_sets(scored, binarization, memory_budget),
        _columns.AS_THEY_ARE,
        lambda sets, scores: average_precision(sets, scores, scored.weights, memory_budget),
    )


def inverse_auprc(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    concept_threshold: float = 0.5,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the average precision of the activations in finding the inputs with the concept.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights; a weight of 2 stands for the row twice.
    concept_threshold : float, default 0.5
        A concept is present where its value is at least this.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [0, 1]; NaN where undefined:
        the concept is never present.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774.
    """
    scored = _columns.check(activations, concepts, weights)
    return _columns.fill(
        scored,
        memory_budget,
        _columns.AS_THEY_ARE,
        _columns.present_sets(concept_threshold),
        lambda scores, sets: average_precision(sets, scores, scored.weights, memory_budget).T,
        outer="concepts",
    )


def average_precision(
    sets: Tensor, scores: Tensor, weights: Tensor | None, memory_budget: int = MEMORY_BUDGET
) -> Tensor:
    """Compute the average precision of every score in finding every set.

    Parameters
    ----------
    sets : Tensor, shape (n_sets, n_inputs), bool
        What is to be found.
    scores : Tensor, shape (n_scores, n_inputs)
        Values that should be high inside a set.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (n_sets, n_scores), float64
        Average precision, in [0, 1]; NaN for an empty set.
    """
    mass = torch.ones(sets.shape[1], dtype=torch.float64, device=sets.device)
    mass = mass if weights is None else weights
    result = torch.empty((len(scores), len(sets)), dtype=torch.float64, device=sets.device)
    find = _by_members if sets.device.type == "cpu" else _by_running_sums
    find(sets, scores, mass, result, memory_budget)
    return result.T


def _by_members(
    sets: Tensor, scores: Tensor, mass: Tensor, result: Tensor, memory_budget: int
) -> None:
    """Visit, for each score, the sets that each input belongs to: a CPU's way."""
    from neuron_eval.functional import _kernels

    starts, numbers = _kernels.sets_of_inputs(sets.T.contiguous().numpy())
    for piece, rows in _columns.pieces(scores, memory_budget):
        _kernels.average_precision(
            *ascending(rows), mass.numpy(), starts, numbers, result[piece].numpy()
        )


def _by_running_sums(
    sets: Tensor, scores: Tensor, mass: Tensor, result: Tensor, memory_budget: int
) -> None:
    """Take running sums over all inputs, few and large operations, for other devices."""
    total = _columns.sums(sets, mass, memory_budget)
    members = sets.T.contiguous()
    for piece, rows in _columns.pieces(scores, memory_budget):
        for row, found_by_row in zip(rows, result[piece], strict=True):
            order = row.argsort(descending=True)
            ends = tie_groups(row[order][None, :]).last
            depth = mass[order].cumsum(dim=0)[ends]
            # A gain and a running sum for every input, in double precision.
            width = max(1, int(memory_budget) // (4 * 8 * len(order)))
            for block in _columns.spans(len(sets), width):
                found = (members[order, block] * mass[order][:, None]).cumsum_(dim=0)[ends]
                gained = found.diff(dim=0, prepend=torch.zeros_like(found[:1]))
                found_by_row[block] = (gained * found).T @ (1 / depth)
    result.div_(torch.where(total > 0, total, torch.nan)).clamp_(max=1.0)
