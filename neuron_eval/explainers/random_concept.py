"""A random concept for every neuron: the baseline that every method must beat."""

from typing import Any

import numpy as np

from neuron_eval.explanations import Explanation, Term
from neuron_eval.validation import check_activations, check_concepts, check_weights


def explain_random_concept(
    activations: Any, concepts: Any, *, weights: Any = None, seed: int = 0
) -> list[Explanation]:
    """Explain every neuron by a concept drawn at random, whatever its activations.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations; only their number counts.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors; only their number counts.
    weights : array-like, shape (n_inputs,), optional
        Checked, and otherwise not used.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    list of Explanation
        One per neuron, without a score.

    Raises
    ------
    InputError
        If an input is invalid.
    """
    n_inputs, n_neurons = check_activations(activations, dtype=None).shape
    n_concepts = check_concepts(concepts, n_inputs=n_inputs, dtype=None).shape[1]
    if weights is not None:
        check_weights(weights, n_inputs=n_inputs)
    drawn = np.random.default_rng(seed).integers(n_concepts, size=n_neurons)
    return [Explanation(unit, (Term(int(concept)),)) for unit, concept in enumerate(drawn)]
