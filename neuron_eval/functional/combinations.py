"""Harmonic means of two metrics with opposite blind spots.

One half of each pair misses concepts that are too broad, the other half those that are too
narrow; the harmonic mean is high only where both are.
"""

from typing import Any

import torch
from torch import Tensor

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.functional._columns import MEMORY_BUDGET
from neuron_eval.functional.contingency import contingency
from neuron_eval.functional.overlap import recall
from neuron_eval.functional.ranking import auroc, inverse_auroc


def harmonic_mean(first: Tensor, second: Tensor) -> Tensor:
    """Compute the harmonic mean of two scores that are not negative.

    Parameters
    ----------
    first, second : Tensor, any shape
        Scores, at least 0; NaN where undefined.

    Returns
    -------
    Tensor
        2 ab / (a + b); 0 where both are 0, NaN where either is NaN.
    """
    total = first + second
    return torch.where(total == 0, 0.0, 2 * first * second / total)


def combined_auroc(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    concept_threshold: float = 0.5,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the harmonic mean of `auroc` and `inverse_auroc`.

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
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [0, 1]; NaN where undefined:
        `auroc` or `inverse_auroc` is.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774, appendix.
    """
    first = auroc(
        activations,
        concepts,
        weights=weights,
        binarization=binarization,
        memory_budget=memory_budget,
    )
    second = inverse_auroc(
        activations,
        concepts,
        weights=weights,
        concept_threshold=concept_threshold,
        memory_budget=memory_budget,
    )
    return harmonic_mean(first, second)


def combined_balanced_accuracy(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    concept_threshold: float = 0.5,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the harmonic mean of `balanced_accuracy` and `inverse_balanced_accuracy`.

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
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [0, 1]; NaN where undefined:
        `balanced_accuracy` or `inverse_balanced_accuracy` is.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774, appendix.
    """
    table = contingency(
        activations,
        concepts,
        weights=weights,
        binarization=binarization,
        concept_threshold=concept_threshold,
        memory_budget=memory_budget,
    )
    return harmonic_mean(table.balanced_accuracy, table.inverse_balanced_accuracy)


def combined_recall_auroc(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    concept_threshold: float = 0.5,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the harmonic mean of `recall` and `auroc`.

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
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [0, 1]; NaN where undefined:
        `recall` or `auroc` is.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774, appendix.
    """
    first = recall(
        activations,
        concepts,
        weights=weights,
        binarization=binarization,
        concept_threshold=concept_threshold,
        memory_budget=memory_budget,
    )
    second = auroc(
        activations,
        concepts,
        weights=weights,
        binarization=binarization,
        memory_budget=memory_budget,
    )
    return harmonic_mean(first, second)


def combined_recall_inverse_auroc(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    concept_threshold: float = 0.5,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the harmonic mean of `recall` and `inverse_auroc`.

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
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [0, 1]; NaN where undefined:
        `recall` or `inverse_auroc` is.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774, appendix.
    """
    first = recall(
        activations,
        concepts,
        weights=weights,
        binarization=binarization,
        concept_threshold=concept_threshold,
        memory_budget=memory_budget,
    )
    second = inverse_auroc(
        activations,
        concepts,
        weights=weights,
        concept_threshold=concept_threshold,
        memory_budget=memory_budget,
    )
    return harmonic_mean(first, second)


def combined_precision_balanced_accuracy(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    concept_threshold: float = 0.5,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the harmonic mean of `precision` and `balanced_accuracy`.

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
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [0, 1]; NaN where undefined:
        `precision` or `balanced_accuracy` is.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774, appendix.
    """
    table = contingency(
        activations,
        concepts,
        weights=weights,
        binarization=binarization,
        concept_threshold=concept_threshold,
        memory_budget=memory_budget,
    )
    return harmonic_mean(table.precision, table.balanced_accuracy)


def combined_precision_inverse_balanced_accuracy(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    concept_threshold: float = 0.5,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the harmonic mean of `precision` and `inverse_balanced_accuracy`.

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
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [0, 1]; NaN where undefined:
        `precision` or `inverse_balanced_accuracy` is.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774, appendix.
    """
    table = contingency(
        activations,
        concepts,
        weights=weights,
        binarization=binarization,
        concept_threshold=concept_threshold,
        memory_budget=memory_budget,
    )
    return harmonic_mean(table.precision, table.inverse_balanced_accuracy)
