"""Weighted pointwise mutual information, the score of CLIP-Dissect."""

from typing import Any

import torch
from torch import Tensor

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET
from neuron_eval.functional._members import member_sums
from neuron_eval.validation import InputError

#: Concept values below this count as this, so that one certain "absent" is not minus infinity.
LEAST_PROBABILITY = 1e-8


def wpmi(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    lam: float = 1.0,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score weighted pointwise mutual information.

    The mean of ln max(c, 1e-8) over the inputs where the neuron is active, minus λ times the
    logarithm of the mean of c over all inputs.

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
    lam : float, default 1.0
        λ, how strongly a concept is charged for being common; finite.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in nats, unbounded; NaN where undefined:
        the neuron is never active, or the concept is zero everywhere.

    Raises
    ------
    InputError
        If an input is invalid.

    Notes
    -----
    Without the NaN, a concept of zero probability everywhere would score plus infinity and win
    every comparison.

    References
    ----------
    Oikarinen, Weng, "CLIP-Dissect", ICLR 2023, arXiv 2204.10965, equation 4; in the form of
    Oikarinen, Yan, Weng, ICML 2025, arXiv 2506.05774.
    """
    if not abs(lam) < float("inf"):
        raise InputError(f"lam: found {lam!r}, expected a finite number.")
    scored = _columns.check(activations, concepts, weights)

    def logarithms(values: Tensor) -> Tensor:
        return values.clamp(min=LEAST_PROBABILITY).log_()

    def score(sets: Tensor, rows: Tensor) -> Tensor:
        mass = _columns.sums(sets, scored.weights, memory_budget)
        mean = _columns.sums(rows, scored.weights, memory_budget) / scored.total
        inside = member_sums(sets, rows, scored.weights, memory_budget, logarithms)
        inside /= torch.where(mass > 0, mass, torch.nan)[:, None]
        return inside - lam * torch.where(mean > 0, mean, torch.nan).log()

    return _columns.fill(
        scored,
        memory_budget,
        _columns.active_sets(scored, binarization, memory_budget),
        _columns.AS_THEY_ARE,
        score,
    )
