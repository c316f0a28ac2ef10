"""What an explanation method says of a neuron: a concept, a weighted sum, or a formula."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neuron_eval.formulas import Formula, evaluate_columns
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
    """What is said of one neuron: a sum of terms or a formula, or nothing.

    Attributes
    ----------
    unit : int
        Column of the activation matrix.
    terms : tuple of Term
        The concepts, the most important first; empty beside a formula, and where the method
        found nothing to say.
    bias : float, default 0.0
        Constant of a linear explanation, in units of the activation.
    score : float or None, default None
        Score that the explanation method gave; its meaning depends on the method.
    formula : Formula or None, default None
        Logical formula of concepts, in place of terms.

    Raises
    ------
    InputError
        If there are both terms and a formula.
    """

    unit: int
    terms: tuple[Term, ...]
    bias: float = 0.0
    score: float | None = None
    formula: Formula | None = None

    def __post_init__(self) -> None:
        if self.formula is not None and self.terms:
            raise InputError(
                f"explanation: found {len(self.terms)} terms and a formula for unit {self.unit}, "
                "expected one of them; pass terms=() beside a formula."
            )


def predicted_activations(
    explanations: Sequence[Explanation], concepts: Any
) -> npt.NDArray[np.float64]:
    """Predict activations from explanations: bias plus weighted sum of concept vectors.

    A formula takes the place of the sum: P(formula holds), see `Formula.evaluate`.

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
        An explanation that says nothing predicts its bias everywhere.

    Raises
    ------
    InputError
        If a term or formula names a concept that has no column.
    """
    checked = check_concepts(concepts).cpu()
    vectors = checked.numpy()
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
    for column, explanation in enumerate(explanations):
        if explanation.formula is not None:
            predicted[:, column] += evaluate_columns(explanation.formula, checked)
    return predicted
