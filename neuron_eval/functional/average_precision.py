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
from neuron_eval.functional._order import argsort_rows, tie_groups


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
    binarize = _columns.binarizer(scored, binarization)
    return _columns.fill(
        scored,
        memory_budget,
        binarize,
        lambda rows: rows,
        lambda sets, values: average_precision(sets, values, scored.weights, memory_budget),
        outer="concepts",
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
    present = _columns.present(concept_threshold)
    return _columns.fill(
        scored,
        memory_budget,
        lambda rows: rows,
        present,
        lambda values, sets: average_precision(sets, values, scored.weights, memory_budget).T,
        outer="neurons",
    )


def average_precision(
    sets: Tensor, scores: Tensor, weights: Tensor | None, memory_budget: int = MEMORY_BUDGET
) -> Tensor:
    """Compute the average precision of every score in finding every set.

    Parameters
    ----------
    sets : Tensor, shape (n_sets, n_inputs), bool
        What is to be found.
    scores : Tensor, shape (n_scores, n_inputs), float64
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
    n_inputs = scores.shape[1]
    members = sets.T.contiguous()
    mass = _columns.sums(sets, weights)
    width = max(1, memory_budget // (4 * 8 * n_inputs))
    result = torch.empty((sets.shape[0], scores.shape[0]), dtype=torch.float64, device=sets.device)
    for column, row in enumerate(scores):
        order = argsort_rows(-row[None, :])[0]
        ends = tie_groups(row[order][None, :]).last
        each = torch.ones_like(row) if weights is None else weights[order]
        depth = each.cumsum(dim=0)[ends]
        for start in range(0, sets.shape[0], width):
            block = slice(start, start + width)
            found = (members[order, block] * each[:, None]).cumsum_(dim=0)[ends]
            gained = found.diff(dim=0, prepend=torch.zeros_like(found[:1]))
            result[block, column] = (gained * found).T @ (1 / depth)
    return result / torch.where(mass > 0, mass, torch.nan)[:, None]
