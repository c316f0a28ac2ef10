"""Best area under the ROC curve, in the manner of INVERT."""

from typing import Any

from neuron_eval.explainers._best import best_concepts
from neuron_eval.explanations import Explanation
from neuron_eval.functional._columns import MEMORY_BUDGET
from neuron_eval.functional.ranking import inverse_auroc


def explain_best_auroc(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    concept_threshold: float = 0.5,
    memory_budget: int = MEMORY_BUDGET,
) -> list[Explanation]:
    """Explain every neuron by the concept that its activations separate best.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights.
    concept_threshold : float, default 0.5
        A concept is present where its value is at least this.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    list of Explanation
        One per neuron, its score the AUROC with the concept as reference; without terms where no
        concept is both present and absent somewhere.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Bykov, Kopf, Nakajima, Kloft, Hoehne, "Labeling Neural Representations with Inverse
    Recognition" (INVERT), NeurIPS 2023, arXiv 2311.13594, at length one.
    """
    return best_concepts(
        inverse_auroc(
            activations,
            concepts,
            weights=weights,
            concept_threshold=concept_threshold,
            memory_budget=memory_budget,
        )
    )
