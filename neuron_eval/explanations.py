"""What an explanation method says of a neuron: one concept, or a weighted sum of concepts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neuron_eval.validation import InputError, check_concepts


@dataclass(frozen=True)
class Term:
    """One concept of an explanation.

    Attributes
    ----------
    concept : int
        Column of the concept matrix.
    weight : float, default 1.0
        Weight in the sum, in units of the activation where the explanation is linear.
    """

    concept: int
    weight: float = 1.0


@dataclass(frozen=True)
class Explanation:
    """What is said of one neuron.

    Attributes
    ----------
    unit : int
        Column of the activation matrix.
    terms : tuple of Term
        The concepts, the most important first.
    bias : float, default 0.0
        Constant of a linear explanation, in units of the activation.
    score : float or None, default None
        Score that the explanation method gave; its meaning depends on the method.
    """

    unit: int
    terms: tuple[Term, ...]
    bias: float = 0.0
    score: float | None = None


def predicted_activations(
    explanations: Sequence[Explanation], concepts: Any
) -> npt.NDArray[np.float64]:
    """Predict activations from explanations: bias plus weighted sum of concept vectors.

    Parameters
    ----------
    explanations : sequence of Explanation
        One per column of the result.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].

    Returns
    -------
    ndarray, shape (n_inputs, n_explanations), float64
        Predicted activations; for an explanation of one concept of weight 1, its concept vector.

    Raises
    ------
    InputError
        If a term names a concept that has no column.
    """
    vectors = check_concepts(concepts).numpy()
    loadings = np.zeros((vectors.shape[1], len(explanations)))
    for column, explanation in enumerate(explanations):
        for term in explanation.terms:
            if not 0 <= term.concept < vectors.shape[1]:
                raise InputError(
                    f"explanations: the explanation of unit {explanation.unit} names concept "
                    f"{term.concept}, expected 0 to {vectors.shape[1] - 1}."
                )
            loadings[term.concept, column] += term.weight
    biases = np.array([explanation.bias for explanation in explanations])
    predicted: npt.NDArray[np.float64] = vectors @ loadings + biases
    return predicted
