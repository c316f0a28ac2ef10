"""All metrics of the 2 x 2 table at the price of one."""

from typing import Any

from torch import Tensor

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.functional._columns import MEMORY_BUDGET
from neuron_eval.functional.combinations import harmonic_mean
from neuron_eval.functional.contingency import contingency


def score_contingency_metrics(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    concept_threshold: float = 0.5,
    memory_budget: int = MEMORY_BUDGET,
) -> dict[str, Tensor]:
    """Score the ten metrics that depend on the 2 x 2 counts alone, counting once.

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
    concept_threshold : float, default 0.5
        A concept is present where its value is at least this.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    dict of str to Tensor, shape (n_neurons, n_concepts), float64
        Scores by name of the metric, each equal to what the metric itself returns.

    Raises
    ------
    InputError
        If an input is invalid.
    """
    t = contingency(
        activations,
        concepts,
        weights=weights,
        binarization=binarization,
        concept_threshold=concept_threshold,
        memory_budget=memory_budget,
    )
    precision, balanced, inverse = t.precision, t.balanced_accuracy, t.inverse_balanced_accuracy
    return {
        "recall": t.recall,
        "precision": precision,
        "f1_score": t.f1_score,
        "iou": t.iou,
        "accuracy": t.accuracy,
        "balanced_accuracy": balanced,
        "inverse_balanced_accuracy": inverse,
        "combined_balanced_accuracy": harmonic_mean(balanced, inverse),
        "combined_precision_balanced_accuracy": harmonic_mean(precision, balanced),
        "combined_precision_inverse_balanced_accuracy": harmonic_mean(precision, inverse),
    }
