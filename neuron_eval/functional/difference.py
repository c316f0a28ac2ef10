"""Mean activation difference (MAD)."""

from typing import Any

from torch import Tensor

from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET
from neuron_eval.functional._members import member_sums, reference_sides


def mean_activation_difference(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    concept_threshold: float = 0.5,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the mean activation with the concept minus the mean activation without it.

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
        Scores in units of the activations, unbounded; NaN where undefined:
        the concept is never or always present.

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

    def score(rows: Tensor, sets: Tensor) -> Tensor:
        mean = (_columns.sums(rows, scored.weights, memory_budget) / scored.total)[:, None]
        # Around their mean the sums keep their digits, and what is missing on one side of the
        # concept is what is there on the other.
        gained = member_sums(
            sets, rows, scored.weights, memory_budget, lambda values: values - mean
        )
        inside, outside = reference_sides(sets, scored.weights, memory_budget)
        return gained.T * (1 / inside + 1 / outside)

    return _columns.fill(
        scored, memory_budget, _columns.AS_THEY_ARE, _columns.present_sets(concept_threshold), score
    )
