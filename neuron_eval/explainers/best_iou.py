"""Best intersection over union, in the manner of Network Dissection."""

from typing import Any

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.explainers._best import best_concepts
from neuron_eval.explanations import Explanation
from neuron_eval.functional._columns import MEMORY_BUDGET
from neuron_eval.functional.overlap import iou


def explain_best_iou(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    concept_threshold: float = 0.5,
    memory_budget: int = MEMORY_BUDGET,
) -> list[Explanation]:
    """Explain every neuron by the concept of greatest IoU with its active inputs.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights.
    binarization : Binarization, default TopFraction(0.05)
        Which inputs count as active.
    concept_threshold : float, default 0.5
        A concept is present where its value is at least this.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    list of Explanation
        One per neuron, its score the IoU; without terms where no IoU is defined.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Bau, Zhou, Khosla, Oliva, Torralba, "Network Dissection", CVPR 2017, on whole inputs in place
    of pixels.
    """
    return best_concepts(
        iou(
            activations,
            concepts,
            weights=weights,
            binarization=binarization,
            concept_threshold=concept_threshold,
            memory_budget=memory_budget,
        )
    )
