"""Best weighted pointwise mutual information, in the manner of CLIP-Dissect."""

from typing import Any

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.explainers._best import best_concepts
from neuron_eval.explanations import Explanation
from neuron_eval.functional._columns import MEMORY_BUDGET
from neuron_eval.functional.information import wpmi


def explain_wpmi(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    lam: float = 1.0,
    memory_budget: int = MEMORY_BUDGET,
) -> list[Explanation]:
    """Explain every neuron by the concept of greatest WPMI with its active inputs.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1], graded rather than binary where possible.
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights.
    binarization : Binarization, default TopFraction(0.05)
        Which inputs count as active.
    lam : float, default 1.0
        λ, how strongly a concept is charged for being common.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    list of Explanation
        One per neuron, its score the WPMI in nats; without terms where the neuron is never
        active.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Weng, "CLIP-Dissect", ICLR 2023, arXiv 2204.10965.
    """
    return best_concepts(
        wpmi(
            activations,
            concepts,
            weights=weights,
            binarization=binarization,
            lam=lam,
            memory_budget=memory_budget,
        )
    )
