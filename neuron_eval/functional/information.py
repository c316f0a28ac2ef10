"""Weighted pointwise mutual information, the score of CLIP-Dissect."""

from typing import Any

import torch
from torch import Tensor

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET
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
    binarize = _columns.binarizer(scored, binarization)

    def active_share(rows: Tensor) -> Tensor:
        marked = binarize(rows)
        mass = _columns.sums(marked, scored.weights)
        share = marked.to(torch.float64)
        if scored.weights is not None:
            share *= scored.weights
        return share.div_(torch.where(mass > 0, mass, torch.nan)[:, None])

    def logarithms(rows: Tensor) -> tuple[Tensor, Tensor]:
        mean = _columns.sums(rows, scored.weights) / scored.total
        logs = rows.to(torch.float64).clamp(min=LEAST_PROBABILITY).log_()
        return logs, torch.where(mean > 0, mean, torch.nan).log()

    def score(share: Tensor, concept: tuple[Tensor, Tensor]) -> Tensor:
        logs, log_mean = concept
        return share @ logs.T - lam * log_mean

    return _columns.fill(scored, memory_budget, active_share, logarithms, score, outer="concepts")
